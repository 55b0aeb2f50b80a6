// What `sallyport version` says about TLS.
#pragma once

#include <string>
#include <string_view>

namespace sallyport::tls {

// As compiled in, such as "5.9.2".
std::string_view WolfSslVersion();

// Crypto instructions that the library uses on this CPU, such as "aes avx2 bmi2 adx"; "none"
// without any.
std::string CryptoInstructions();

}  // namespace sallyport::tls
