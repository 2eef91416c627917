typedef unsigned long u64;
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;

/* The computations, by number as in programs.mjs; n says how often. Each returns a checksum. */
u64 entry(u64 what, u64 n);
u64 run_floats(u64 n);
u64 run_flat(u64 n);

static inline u64 mixed(u64 x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9ul;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebul;
  return x ^ (x >> 31);
}
