/* What integer code does all day: hashing bytes, looking things up, sorting, following pointers. */
#include "programs.h"

/* --- sha-256 (FIPS 180-4) of a megabyte, again and again --- */
static const u32 K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
    0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
    0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
    0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
#define ROTR(x, n) (((x) >> (n)) | ((x) << (32 - (n))))
#define ROUND(a, b, c, d, e, f, g, h, i)                                                                              \
  do {                                                                                                                \
    u32 t1 = h + (ROTR(e, 6) ^ ROTR(e, 11) ^ ROTR(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + w[i];                       \
    u32 t2 = (ROTR(a, 2) ^ ROTR(a, 13) ^ ROTR(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));                                \
    d += t1;                                                                                                          \
    h = t1 + t2;                                                                                                      \
  } while (0)
static void sha256_block(u32 *h, const u8 *p) {
  u32 w[64];
  for (int i = 0; i < 16; i++) w[i] = (u32)p[4 * i] << 24 | (u32)p[4 * i + 1] << 16 | (u32)p[4 * i + 2] << 8 | p[4 * i + 3];
  for (int i = 16; i < 64; i++) {
    u32 s0 = ROTR(w[i - 15], 7) ^ ROTR(w[i - 15], 18) ^ (w[i - 15] >> 3);
    u32 s1 = ROTR(w[i - 2], 17) ^ ROTR(w[i - 2], 19) ^ (w[i - 2] >> 10);
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  u32 a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], k = h[7];
  /* Eight rounds, with the names turned instead of the values, as kernels do it. */
  for (int i = 0; i < 64; i += 8) {
    ROUND(a, b, c, d, e, f, g, k, i);
    ROUND(k, a, b, c, d, e, f, g, i + 1);
    ROUND(g, k, a, b, c, d, e, f, i + 2);
    ROUND(f, g, k, a, b, c, d, e, i + 3);
    ROUND(e, f, g, k, a, b, c, d, i + 4);
    ROUND(d, e, f, g, k, a, b, c, i + 5);
    ROUND(c, d, e, f, g, k, a, b, i + 6);
    ROUND(b, c, d, e, f, g, k, a, i + 7);
  }
  h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e, h[5] += f, h[6] += g, h[7] += k;
}
static u8 message[1 << 20];
static u64 run_sha256(u64 n) {
  u32 h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  for (u64 i = 0; i < sizeof message; i++) message[i] = (u8)(i * 7);
  while (n--)
    for (u64 i = 0; i < sizeof message; i += 64) sha256_block(h, message + i);
  return (u64)h[0] << 32 | h[1];
}

/* --- a hash table with open addressing: inserts, look-ups, removals --- */
#define SLOTS (1ul << 16)
struct slot {
  u64 key, value;
};
static struct slot slots[SLOTS];
static struct slot *slot_of(u64 key) {
  u64 i = mixed(key) & (SLOTS - 1);
  while (slots[i].key && slots[i].key != key) i = (i + 1) & (SLOTS - 1);
  return &slots[i];
}
static void remove_at(u64 hole) {
  for (u64 i = (hole + 1) & (SLOTS - 1); slots[i].key; i = (i + 1) & (SLOTS - 1)) {
    u64 home = mixed(slots[i].key) & (SLOTS - 1);
    if (((i - home) & (SLOTS - 1)) < ((i - hole) & (SLOTS - 1))) continue;
    slots[hole] = slots[i];
    hole = i;
  }
  slots[hole].key = 0;
}
static u64 run_hash(u64 n) {
  u64 sum = 0, x = 1;
  for (u64 i = 0; i < SLOTS; i++) slots[i].key = 0;
  for (u64 i = 0; i < n; i++) {
    x = mixed(x + i);
    struct slot *s = slot_of(1 + x % 48000);
    if (!s->key) {
      s->key = 1 + x % 48000;
      s->value = i;
    } else if (x >> 62)
      sum += s->value ^ x;
    else {
      sum = sum * 31 + s->value;
      remove_at((u64)(s - slots));
    }
  }
  return sum;
}

/* --- quicksort, with insertion at the end --- */
#define ITEMS 100000
static u64 items[ITEMS];
static void sort(u64 *a, long n) {
  while (n > 12) {
    u64 x = a[0], y = a[n / 2], z = a[n - 1];
    u64 pivot = x < y ? (y < z ? y : x < z ? z : x) : (x < z ? x : y < z ? z : y);
    long i = 0, j = n - 1;
    for (;; i++, j--) {
      while (a[i] < pivot) i++;
      while (a[j] > pivot) j--;
      if (i >= j) break;
      u64 t = a[i];
      a[i] = a[j];
      a[j] = t;
    }
    sort(a, i);
    a += i;
    n -= i;
  }
  for (long i = 1; i < n; i++) {
    u64 t = a[i];
    long j = i;
    for (; j > 0 && a[j - 1] > t; j--) a[j] = a[j - 1];
    a[j] = t;
  }
}
static u64 run_sort(u64 n) {
  u64 sum = 0;
  for (u64 round = 0; round < n; round++) {
    for (u64 i = 0; i < ITEMS; i++) items[i] = mixed(i + round * ITEMS);
    sort(items, ITEMS);
    for (u64 i = 0; i < ITEMS; i += 97) sum = sum * 31 + items[i];
  }
  return sum;
}

/* --- linked lists in shuffled memory: walk, reverse, merge-sort by key --- */
#define NODES 20000
struct node {
  struct node *next;
  u64 key;
};
static struct node nodes[NODES];
static u32 order[NODES];
static struct node *merge(struct node *a, struct node *b) {
  struct node head, *tail = &head;
  while (a && b) {
    struct node **least = a->key <= b->key ? &a : &b;
    tail->next = *least;
    tail = *least;
    *least = (*least)->next;
  }
  tail->next = a ? a : b;
  return head.next;
}
static struct node *sorted(struct node *list, u64 n) {
  if (n < 2) {
    if (list) list->next = 0;
    return list;
  }
  struct node *half = list;
  for (u64 i = 0; i < n / 2; i++) half = half->next;
  struct node *right = sorted(half, n - n / 2);
  return merge(sorted(list, n / 2), right);
}
static u64 run_lists(u64 n) {
  u64 sum = 0;
  for (u32 i = 0; i < NODES; i++) order[i] = i;
  for (u32 i = NODES - 1; i > 0; i--) {
    u32 j = (u32)(mixed(i) % (i + 1)), t = order[i];
    order[i] = order[j];
    order[j] = t;
  }
  for (u64 round = 0; round < n; round++) {
    struct node *list = 0;
    for (u32 i = 0; i < NODES; i++) {
      struct node *it = &nodes[order[i]];
      it->key = mixed(i ^ round) >> 8;
      it->next = list;
      list = it;
    }
    for (int turn = 0; turn < 8; turn++) {
      struct node *reversed = 0;
      while (list) {
        struct node *next = list->next;
        sum += list->key;
        list->next = reversed;
        reversed = list;
        list = next;
      }
      list = reversed;
    }
    list = sorted(list, NODES);
    for (struct node *it = list; it; it = it->next) sum = sum * 31 + it->key;
  }
  return sum;
}

u64 entry(u64 what, u64 n) {
  switch (what) {
    case 0: return run_sha256(n);
    case 1: return run_hash(n);
    case 2: return run_sort(n);
    case 3: return run_lists(n);
    case 4: return run_floats(n);
    case 5: return run_flat(n);
  }
  return 0;
}
