#include "tls/version.h"

#include <wolfssl/options.h>
// The options come first.
#include <wolfssl/wolfcrypt/cpuid.h>

namespace sallyport::tls {

std::string_view WolfSslVersion() { return SALLYPORT_WOLFSSL_VERSION; }

std::string CryptoInstructions() {
  std::string names;
  const auto add = [&names](bool used, std::string_view name) {
    if (!used) return;
    if (!names.empty()) names += ' ';
    names += name;
  };
#if defined(HAVE_CPUID_INTEL)
  const auto flags = cpuid_get_flags();
  add(IS_INTEL_AESNI(flags) != 0, "aes");
  add(IS_INTEL_AVX1(flags) != 0, "avx");
  add(IS_INTEL_AVX2(flags) != 0, "avx2");
  add(IS_INTEL_BMI2(flags) != 0, "bmi2");
  add(IS_INTEL_ADX(flags) != 0, "adx");
  add(IS_INTEL_SHA(flags) != 0, "sha");
#elif defined(__aarch64__) && defined(WOLFSSL_ARMASM)
  add(true, "armv8-crypto");
#endif
  return names.empty() ? "none" : names;
}

}  // namespace sallyport::tls
