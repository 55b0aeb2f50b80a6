/* Included by every file of wolfSSL (-include): what it calls instead of the system. C, and also read by the assembler. */
#ifndef SALLYPORT_TLS_WOLFSSL_HOOKS_H_
#define SALLYPORT_TLS_WOLFSSL_HOOKS_H_
#ifndef __ASSEMBLER__

#ifdef __cplusplus
extern "C" {
#endif

/* tls/random.cc. Returns 0. */
int SallyportRandomBlock(unsigned char* output, unsigned int bytes);

/* tls/wall_clock.cc. As time(2); `result` may be null. `long` stands for time_t: <time.h> must not be included here, or configure
 * finds no gmtime_r (its probe declares one of its own) and the library shares one struct tm between all threads. */
long SallyportWallTime(long* result);
/* Milliseconds since the epoch. The parameter is not used. */
long long SallyportWallMilliseconds(void* unused);

#ifdef __cplusplus
}
#endif

#endif /* __ASSEMBLER__ */
#endif /* SALLYPORT_TLS_WOLFSSL_HOOKS_H_ */
