/* String work as libraries do it: lengths, copies, comparisons, a word count, numbers to text and back. */
typedef unsigned long u64;
typedef unsigned char u8;

static char text[4096], copy[4096];
static u64 table[256];

static u64 length(const char *s) {
  u64 n = 0;
  while (s[n]) n++;
  return n;
}
static int compare(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return (u8)*a - (u8)*b;
}
static char *number(char *to, long value, int base) {
  char digits[64];
  int n = 0;
  u64 v = value < 0 ? -(u64)value : (u64)value;
  do digits[n++] = "0123456789abcdefghijklmnopqrstuvwxyz"[v % base];
  while (v /= base);
  if (value < 0) *to++ = '-';
  while (n) *to++ = digits[--n];
  return to;
}
static long parse(const char *s, int base) {
  long sign = *s == '-' ? s++, -1 : 1, v = 0;
  for (; *s && *s != ' '; s++) v = v * base + (*s <= '9' ? *s - '0' : *s - 'a' + 10);
  return sign * v;
}

u64 entry(u64 what, u64 n, u8 *memory) {
  char *to = text;
  long x = 88172645463325252l;
  (void)what;
  for (u64 i = 0; i < n; i++) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    to = number(to, x >> (i % 60), 2 + i % 35);
    *to++ = ' ';
  }
  *to = 0;
  __builtin_memcpy(copy, text, length(text) + 1);
  __builtin_memset(memory, 0x5a, 300);
  u64 sum = compare(text, copy), i = 0;
  for (char *s = copy; *s; s++)
    if (s == copy || s[-1] == ' ') sum = sum * 31 + parse(s, 2 + i++ % 35);
  for (char *s = copy; *s; s++) table[(u8)*s]++;
  for (int c = 0; c < 256; c++) sum = (sum << 5 | sum >> 59) ^ table[c] ^ memory[c];
  return sum;
}
