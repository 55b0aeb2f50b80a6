# wolfSSL, built our way and linked statically: the packaged binary has no assembly and is configured for something else.
#
# Where the source comes from, first match:
#   -DSALLYPORT_WOLFSSL_ROOT=PREFIX    an installed build (made with the same definitions; the self-tests judge it)
#   -DSALLYPORT_WOLFSSL_SOURCE=PATH    a source tree or tarball
#   the user's cache                   ${XDG_CACHE_HOME:-~/.cache}/sallyport/wolfssl_VERSION.orig.tar.gz
#   the distribution                   its source package, by apt, from an isolated list that is derived from this machine's own
#                                      Debian archive: suite sid, else testing, else experimental. The machine's lists stay as they are.
#                                      Empty the cache folder to ask for a newer version.
# Defines the interface target `sallyport_wolfssl` and SALLYPORT_WOLFSSL_VERSION. Needs: autoconf automake libtool make.
include(ExternalProject)

set(SALLYPORT_WOLFSSL_ROOT "" CACHE PATH "Prefix of an installed wolfSSL to use instead of building one")
set(SALLYPORT_WOLFSSL_SOURCE "" CACHE PATH "wolfSSL source tree or tarball to build instead of the distribution's")
set(wolfssl_version_min 5.9.2)
set(wolfssl_remedy "Pass -DSALLYPORT_WOLFSSL_SOURCE=<tree or tarball> or -DSALLYPORT_WOLFSSL_ROOT=<prefix> of wolfSSL ${wolfssl_version_min} or later.")

# Reads the version out of a header (installed) or configure.ac (source).
function(wolfssl_version_of_text file pattern result)
  set(${result} "" PARENT_SCOPE)
  if(EXISTS ${file})
    file(STRINGS ${file} line REGEX "${pattern}" LIMIT_COUNT 1)
    if(line MATCHES "([0-9]+\\.[0-9]+\\.[0-9]+)")
      set(${result} ${CMAKE_MATCH_1} PARENT_SCOPE)
    endif()
  endif()
endfunction()

# URIs of the Debian archives that this machine's apt uses already.
function(wolfssl_debian_archives result)
  set(uris)
  file(STRINGS /etc/os-release codename REGEX "^VERSION_CODENAME=")
  string(REGEX REPLACE "^VERSION_CODENAME=\"?([^\"]*)\"?$" "\\1" codename "${codename}")
  execute_process(
    COMMAND apt-get indextargets --format "$(CREATED_BY)|$(RELEASE)|$(COMPONENT)|$(REPO_URI)|$(ORIGIN)"
    OUTPUT_VARIABLE targets ERROR_QUIET)
  string(REPLACE "\n" ";" targets "${targets}")
  foreach(target IN LISTS targets)
    # The origin is known once `apt-get update` ran; before that it stands there unexpanded.
    if(target MATCHES "^Packages\\|(${codename}|stable|testing|sid|unstable)\\|main\\|([^|]+)\\|(Debian|[$].*)$")
      list(APPEND uris "${CMAKE_MATCH_2}")
    endif()
  endforeach()
  list(REMOVE_DUPLICATES uris)
  set(${result} "${uris}" PARENT_SCOPE)
endfunction()

# Fetches the orig tarball from one suite into `folder`; apt verifies it against the archive's signature.
function(wolfssl_fetch_from uri suite folder result)
  set(${result} "" PARENT_SCOPE)
  set(keyring /usr/share/keyrings/debian-archive-keyring.gpg)
  set(apt ${CMAKE_BINARY_DIR}/wolfssl-apt)
  file(REMOVE_RECURSE ${apt})
  file(MAKE_DIRECTORY ${apt}/lists/partial ${apt}/cache/archives/partial ${apt}/download)
  set(source_list "Types: deb-src\nURIs: ${uri}\nSuites: ${suite}\nComponents: main\n")
  if(EXISTS ${keyring})
    string(APPEND source_list "Signed-By: ${keyring}\n")
  endif()
  file(WRITE ${apt}/debian.sources "${source_list}")
  execute_process(COMMAND id -un OUTPUT_VARIABLE user OUTPUT_STRIP_TRAILING_WHITESPACE)
  set(apt_get apt-get -q -o Dir::Etc::sourcelist=${apt}/debian.sources -o Dir::Etc::sourceparts=-
    -o Dir::State::Lists=${apt}/lists -o Dir::Cache=${apt}/cache -o APT::Sandbox::User=${user}
    -o Acquire::Retries=2 -o Acquire::Languages=none)
  execute_process(COMMAND ${apt_get} update RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET TIMEOUT 300)
  if(failed)
    return()
  endif()
  execute_process(COMMAND ${apt_get} source --tar-only --print-uris wolfssl
    RESULT_VARIABLE failed OUTPUT_VARIABLE offered ERROR_QUIET TIMEOUT 60)
  if(failed OR NOT offered MATCHES "wolfssl_([0-9]+\\.[0-9]+\\.[0-9]+)[^ ]*\\.orig\\.tar\\.[a-z0-9]+")
    return()
  endif()
  set(tarball ${CMAKE_MATCH_0})
  set(version ${CMAKE_MATCH_1})
  if(version VERSION_LESS wolfssl_version_min)
    message(STATUS "wolfSSL ${version} in ${suite} is too old")
    return()
  endif()
  message(STATUS "wolfSSL ${version}: downloading the source package (${suite})")
  execute_process(COMMAND ${apt_get} source --tar-only --download-only wolfssl
    WORKING_DIRECTORY ${apt}/download RESULT_VARIABLE failed OUTPUT_QUIET ERROR_VARIABLE said TIMEOUT 600)
  if(failed OR NOT EXISTS ${apt}/download/${tarball})
    message(STATUS "wolfSSL: download failed: ${said}")
    return()
  endif()
  file(MAKE_DIRECTORY ${folder})
  # Copied beside its final name first, so that an interrupted run leaves no half of it under that name.
  file(COPY_FILE ${apt}/download/${tarball} ${folder}/.${tarball}.part)
  file(RENAME ${folder}/.${tarball}.part ${folder}/${tarball})
  file(REMOVE_RECURSE ${apt})
  set(${result} ${folder}/${tarball} PARENT_SCOPE)
endfunction()

# The newest tarball in the cache that is new enough, else the distribution's.
function(wolfssl_find_tarball result version_result)
  if(DEFINED ENV{XDG_CACHE_HOME})
    set(cache $ENV{XDG_CACHE_HOME}/sallyport)
  elseif(DEFINED ENV{HOME})
    set(cache $ENV{HOME}/.cache/sallyport)
  else()
    set(cache ${CMAKE_BINARY_DIR}/cache)
  endif()
  set(best)
  set(best_version 0)
  file(GLOB cached ${cache}/wolfssl_*.orig.tar.*)
  foreach(tarball IN LISTS cached)
    if(tarball MATCHES "wolfssl_([0-9]+\\.[0-9]+\\.[0-9]+)[^/]*$" AND CMAKE_MATCH_1 VERSION_GREATER best_version)
      set(best ${tarball})
      set(best_version ${CMAKE_MATCH_1})
    endif()
  endforeach()
  if(best_version VERSION_LESS wolfssl_version_min)
    set(best)
    wolfssl_debian_archives(uris)
    foreach(suite sid testing experimental)
      foreach(uri IN LISTS uris)
        if(NOT best)
          wolfssl_fetch_from(${uri} ${suite} ${cache} best)
        endif()
      endforeach()
    endforeach()
    if(NOT best)
      message(FATAL_ERROR "wolfSSL ${wolfssl_version_min} or later: neither in ${cache} nor offered by the Debian archive that "
        "this machine's apt knows. ${wolfssl_remedy}")
    endif()
    string(REGEX MATCH "wolfssl_([0-9]+\\.[0-9]+\\.[0-9]+)" ignored ${best})
    set(best_version ${CMAKE_MATCH_1})
  endif()
  set(${result} ${best} PARENT_SCOPE)
  set(${version_result} ${best_version} PARENT_SCOPE)
endfunction()

# ---- Which one ---------------------------------------------------------------------------------------------------------------
if(SALLYPORT_WOLFSSL_ROOT)
  set(wolfssl_prefix ${SALLYPORT_WOLFSSL_ROOT})
  wolfssl_version_of_text(${wolfssl_prefix}/include/wolfssl/version.h "LIBWOLFSSL_VERSION_STRING" SALLYPORT_WOLFSSL_VERSION)
  set(wolfssl_origin ${wolfssl_prefix})
elseif(SALLYPORT_WOLFSSL_SOURCE)
  set(wolfssl_origin ${SALLYPORT_WOLFSSL_SOURCE})
  if(IS_DIRECTORY ${SALLYPORT_WOLFSSL_SOURCE})
    # The tree is copied before it is built: autogen.sh writes into it.
    set(wolfssl_download DOWNLOAD_COMMAND ${CMAKE_COMMAND} -E copy_directory ${SALLYPORT_WOLFSSL_SOURCE} <SOURCE_DIR>)
    wolfssl_version_of_text(${SALLYPORT_WOLFSSL_SOURCE}/configure.ac "^AC_INIT" SALLYPORT_WOLFSSL_VERSION)
  else()
    set(wolfssl_download URL ${SALLYPORT_WOLFSSL_SOURCE} DOWNLOAD_EXTRACT_TIMESTAMP TRUE)
    execute_process(COMMAND tar -xOf ${SALLYPORT_WOLFSSL_SOURCE} --wildcards "*/configure.ac" --no-wildcards-match-slash
      OUTPUT_FILE ${CMAKE_CURRENT_BINARY_DIR}/wolfssl_configure.ac ERROR_QUIET)
    wolfssl_version_of_text(${CMAKE_CURRENT_BINARY_DIR}/wolfssl_configure.ac "^AC_INIT" SALLYPORT_WOLFSSL_VERSION)
  endif()
else()
  wolfssl_find_tarball(wolfssl_origin SALLYPORT_WOLFSSL_VERSION)
  set(wolfssl_download URL ${wolfssl_origin} DOWNLOAD_EXTRACT_TIMESTAMP TRUE)
endif()
if(NOT SALLYPORT_WOLFSSL_VERSION OR SALLYPORT_WOLFSSL_VERSION VERSION_LESS wolfssl_version_min)
  message(FATAL_ERROR "wolfSSL in ${wolfssl_origin} is \"${SALLYPORT_WOLFSSL_VERSION}\": ${wolfssl_version_min} or later is needed, "
    "because earlier ones have memory faults before authentication. ${wolfssl_remedy}")
endif()
message(STATUS "wolfSSL ${SALLYPORT_WOLFSSL_VERSION} from ${wolfssl_origin}")

# ---- How it is built ---------------------------------------------------------------------------------------------------------
set(wolfssl_hooks ${CMAKE_CURRENT_SOURCE_DIR}/wolfssl_hooks.h)
set(wolfssl_vzeroupper ${CMAKE_CURRENT_SOURCE_DIR}/wolfssl_vzeroupper.awk)
set(wolfssl_renegotiation ${CMAKE_CURRENT_SOURCE_DIR}/wolfssl_renegotiation.awk)
set(wolfssl_options
  --enable-static --disable-shared --disable-examples --disable-crypttests --disable-benchmark --disable-oldtls --enable-tls13 --enable-sni
  --disable-alpn --enable-session-ticket --enable-supportedcurves --enable-extended-master --enable-crl --disable-ocsp
  --disable-ocspstapling --enable-sp=yes,4096 --enable-sp-asm --enable-curve25519 --enable-ed25519 --enable-aesccm
  --enable-siphash --enable-certgen --enable-certext --enable-keygen --disable-dh --disable-md5 --disable-sha3 --disable-des3
  --disable-arc4 --disable-pkcs12 --disable-errorqueue --disable-oldnames --disable-opensslextra --enable-pkcallbacks
  --disable-hashdrbg --disable-sys-ca-certs)
# Each can be applied to what it has been applied to.
set(wolfssl_patch)
macro(wolfssl_edit script)
  foreach(file ${ARGN})
    list(APPEND wolfssl_patch COMMAND awk -f ${script} ${file} > ${file}.patched
      COMMAND ${CMAKE_COMMAND} -E rename ${file}.patched ${file})
  endforeach()
endmacro()
wolfssl_edit(${wolfssl_renegotiation} src/internal.c)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND wolfssl_options --enable-intelasm --enable-aesni)
  wolfssl_edit(${wolfssl_vzeroupper} wolfcrypt/src/sp_x86_64_asm.S wolfcrypt/src/poly1305_asm.S)
  set(wolfssl_machine "-march=x86-64-v2")  # The assembly looks at the CPU at run time.
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  list(APPEND wolfssl_options --enable-armasm)
  set(wolfssl_machine "")
else()
  set(wolfssl_machine "")
endif()
list(POP_FRONT wolfssl_patch)  # The first COMMAND is PATCH_COMMAND itself.
set(wolfssl_definitions
  -DHAVE_EX_DATA                            # A pointer of ours per connection.
  -DWOLFSSL_ALWAYS_VERIFY_CB                # The leaf reaches our callback on success too.
  -DIGNORE_KEY_EXTENSIONS                   # keyUsage and EKU are judged by us; the library's error would mask others.
  -DWOLFSSL_ALT_CERT_CHAINS                 # A stray certificate in the chain does no harm, and none is kept unverified.
  -DWOLFSSL_FPKI                            # subjectAltName URI:sip:...
  -DWOLFSSL_ASN_ALLOW_0_SERIAL              # RFC 5280 §4.1.2.2: verifiers should handle serial number 0.
  -DWOLFSSL_PSK_ONE_ID                      # One ticket per ClientHello is opened, once.
  -DWOLFSSL_NO_DEF_TICKET_ENC_CB            # Tickets are sealed by us or not at all.
  -DWOLFSSL_TICKET_EXTRA_PADDING_SZ=2176    # The leaf (2048) and 116 bytes about it travel in the ticket.
  -DWOLFSSL_EXTRA_ALERTS                    # A refusal says so.
  -DWOLFSSL_PUBLIC_ASN                      # Which signer verified a certificate.
  -DWOLFSSL_ALT_NAMES -DWOLFSSL_EKU_OID     # For `sallyport ca`.
  -DCUSTOM_RAND_GENERATE_BLOCK=SallyportRandomBlock  # tls/random.h
  -DXTIME=SallyportWallTime -DXTIME_MS=SallyportWallMilliseconds)  # tls/wall_clock.h
list(JOIN wolfssl_definitions " " wolfssl_cflags)
# Part of the command line, so that a change of what we put into wolfSSL builds it anew.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  ${wolfssl_hooks} ${wolfssl_vzeroupper} ${wolfssl_renegotiation})
set(wolfssl_ours "")
foreach(file ${wolfssl_hooks} ${wolfssl_vzeroupper} ${wolfssl_renegotiation})
  file(SHA256 ${file} wolfssl_file_sha256)
  string(APPEND wolfssl_ours ${wolfssl_file_sha256})
endforeach()
string(SHA256 wolfssl_ours "${wolfssl_ours}")
string(SUBSTRING ${wolfssl_ours} 0 8 wolfssl_ours)
string(PREPEND wolfssl_cflags "${wolfssl_machine} -g1 -fno-omit-frame-pointer -fstack-protector-strong -include ${wolfssl_hooks} "
  "-DSALLYPORT_WOLFSSL_OURS=0x${wolfssl_ours} ")
set(wolfssl_ldflags "")
if(SALLYPORT_SANITIZE)
  string(PREPEND wolfssl_cflags "-O2 -fsanitize=${SALLYPORT_SANITIZE} -fno-sanitize-recover=all ")
  set(wolfssl_ldflags "-fsanitize=${SALLYPORT_SANITIZE}")
else()
  string(PREPEND wolfssl_cflags "-O3 -D_FORTIFY_SOURCE=2 ")
endif()

if(NOT SALLYPORT_WOLFSSL_ROOT)
  foreach(tool autoreconf automake libtoolize make)
    find_program(wolfssl_tool_${tool} ${tool})
    if(NOT wolfssl_tool_${tool})
      message(FATAL_ERROR "`${tool}` is missing: apt-get install autoconf automake libtool make")
    endif()
  endforeach()
  set(wolfssl_prefix ${CMAKE_BINARY_DIR}/wolfssl)
  set(wolfssl_source ${CMAKE_BINARY_DIR}/wolfssl-source)
  string(STRIP "${CMAKE_CXX_COMPILER_LAUNCHER} ${CMAKE_C_COMPILER}" wolfssl_compiler)
  cmake_host_system_information(RESULT cores QUERY NUMBER_OF_LOGICAL_CORES)
  ExternalProject_Add(wolfssl_build
    ${wolfssl_download}
    PREFIX ${CMAKE_BINARY_DIR}/wolfssl-build
    SOURCE_DIR ${wolfssl_source}
    BUILD_IN_SOURCE TRUE
    PATCH_COMMAND ${wolfssl_patch}
    CONFIGURE_COMMAND ./autogen.sh
    COMMAND ./configure --prefix=${wolfssl_prefix} --libdir=${wolfssl_prefix}/lib ${wolfssl_options}
      "CC=${wolfssl_compiler}"
      "CFLAGS=${wolfssl_cflags} -ffile-prefix-map=${wolfssl_source}=wolfssl" "LDFLAGS=${wolfssl_ldflags}"
    # Installing is part of this step because its results are what the build system must see change.
    BUILD_COMMAND make -j${cores} V=0
    COMMAND make install
    # Not installed by wolfSSL; tls/library_internals.cc needs it.
    COMMAND ${CMAKE_COMMAND} -E copy wolfssl/internal.h ${wolfssl_prefix}/include/wolfssl/internal.h
    BUILD_BYPRODUCTS ${wolfssl_prefix}/lib/libwolfssl.a ${wolfssl_prefix}/include/wolfssl/options.h
    INSTALL_COMMAND ""
    LOG_CONFIGURE TRUE LOG_BUILD TRUE LOG_OUTPUT_ON_FAILURE TRUE)
  file(MAKE_DIRECTORY ${wolfssl_prefix}/include)  # The imported target wants it to exist already.
endif()

# The library calls back for randomness and time, so these two files link below it.
add_library(sallyport_tls_hooks STATIC random.cc wall_clock.cc)
target_link_libraries(sallyport_tls_hooks PUBLIC sallyport_flags)

add_library(wolfssl_static STATIC IMPORTED)
set_target_properties(wolfssl_static PROPERTIES IMPORTED_LOCATION ${wolfssl_prefix}/lib/libwolfssl.a)
target_link_libraries(wolfssl_static INTERFACE sallyport_tls_hooks m Threads::Threads)

# `#include <wolfssl/options.h>` comes first wherever this is used.
add_library(sallyport_wolfssl INTERFACE)
target_include_directories(sallyport_wolfssl SYSTEM INTERFACE ${wolfssl_prefix}/include)
target_compile_definitions(sallyport_wolfssl INTERFACE SALLYPORT_WOLFSSL_VERSION="${SALLYPORT_WOLFSSL_VERSION}")
target_link_libraries(sallyport_wolfssl INTERFACE wolfssl_static)
if(NOT SALLYPORT_WOLFSSL_ROOT)
  add_dependencies(sallyport_wolfssl wolfssl_build)
  add_dependencies(wolfssl_static wolfssl_build)
endif()
