/* Included by every file of wolfSSL (-include): what it calls instead of the system. C, and also read by the assembler. */
#ifndef SALLYPORT_TLS_WOLFSSL_HOOKS_H_
#define SALLYPORT_TLS_WOLFSSL_HOOKS_H_
#ifndef __ASSEMBLER__

#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* tls/random.cc. Returns 0. */
int SallyportRandomBlock(unsigned char* output, unsigned int bytes);

/* tls/wall_clock.cc. As time(2); `result` may be null. */
time_t SallyportWallTime(time_t* result);
/* Milliseconds since the epoch. The parameter is not used. */
long long SallyportWallMilliseconds(void* unused);

#ifdef __cplusplus
}
#endif

/* wolfSSL's P-256 assembly leaves the upper halves of the vector registers dirty, and SHA code without VEX prefixes then
 * runs a hundred times slower on this thread until something cleans them (measured: SHA-256 of 540 bytes 0.35 us, after a
 * signature 46 to 103 us). The library calls this after each vector operation; here it cleans up. */
#if defined(__x86_64__)
#define RESTORE_VECTOR_REGISTERS()                                                              \
  do {                                                                                          \
    if (__builtin_cpu_supports("avx")) {                                                        \
      __asm__ volatile("vzeroupper" ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", \
                       "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",     \
                       "xmm15", "memory");                                                      \
    }                                                                                           \
  } while (0)
#endif

#endif /* __ASSEMBLER__ */
#endif /* SALLYPORT_TLS_WOLFSSL_HOOKS_H_ */
