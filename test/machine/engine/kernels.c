/*
 * Five small computations, the code behind kernels.ts:
 *   gcc -O2 -fno-pic -mgeneral-regs-only -ffreestanding -fno-stack-protector -fno-jump-tables -fcf-protection=none \
 *     -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns -c kernels.c
 *   ld -Ttext=0x1000 --entry=entry kernels.o -o kernels.elf && objcopy -O binary -j .text kernels.elf kernels.bin
 */
typedef unsigned long u64; typedef unsigned u32; typedef unsigned char u8;
__attribute__((section(".text.start"))) u64 entry(u64 what, u64 n, u8 *mem);
static u32 crc(u8 *p, u64 n){ u32 c=~0u; for(u64 i=0;i<n;i++){ c^=p[i]; for(int k=0;k<8;k++) c=(c>>1)^(0xedb88320u&-(c&1)); } return ~c; }
static u64 sieve(u8 *m, u64 n){ for(u64 i=0;i<n;i++) m[i]=1; u64 c=0; for(u64 i=2;i<n;i++) if(m[i]){c++; for(u64 j=i*i;j<n;j+=i) m[j]=0;} return c; }
static u64 sort(u64 *a, u64 n){ u64 x=88172645463325252ul; for(u64 i=0;i<n;i++){x^=x<<13;x^=x>>7;x^=x<<17;a[i]=x;} 
 for(u64 g=n/2;g;g/=2) for(u64 i=g;i<n;i++){u64 t=a[i],j=i; for(;j>=g&&a[j-g]>t;j-=g)a[j]=a[j-g]; a[j]=t;} u64 s=0; for(u64 i=0;i<n;i++) s=s*31+a[i]; return s;}
static u64 __attribute__((noinline)) fib(u64 n){ return n<2?n:fib(n-1)+fib(n-2); }
static u64 hash(u8*m,u64 n){u64 h=14695981039346656037ul; for(u64 r=0;r<n;r++){ h^=m[r&4095]; h*=1099511628211ul; h^=h>>29; m[h&4095]+=h; h/= (r|1)|3; h+= (long)(h*0x9e3779b97f4a7c15ul)/(long)(r+7); } return h;}
u64 entry(u64 what,u64 n,u8*mem){ switch(what){case 0:return crc(mem,n);case 1:return sieve(mem,n);case 2:return sort((u64*)mem,n);case 3:return fib(n);case 4:return hash(mem,n);} return 0;}
