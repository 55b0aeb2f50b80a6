#include "bench/sipbench/command_line.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace sallyport::bench {
namespace {

bool Store(const CommandLine::Target& target, const std::string& text) {
  if (auto* const* number = std::get_if<int64_t*>(&target)) return absl::SimpleAtoi(text, *number);
  if (auto* const* real = std::get_if<double*>(&target)) return absl::SimpleAtod(text, *real);
  if (auto* const* string = std::get_if<std::string*>(&target)) {
    **string = text;
    return true;
  }
  std::get<std::vector<std::string>*>(target)->push_back(text);
  return true;
}

std::string Default(const CommandLine::Target& target) {
  if (auto* const* number = std::get_if<int64_t*>(&target)) return absl::StrCat(**number);
  if (auto* const* real = std::get_if<double*>(&target)) return absl::StrCat(**real);
  if (auto* const* string = std::get_if<std::string*>(&target)) return **string;
  return "";
}

}  // namespace

void CommandLine::Add(std::string_view name, Target target, std::string_view help) {
  flags_.push_back({std::string(name), target, std::string(help)});
}

absl::Status CommandLine::Parse(const std::vector<std::string>& arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Flag* flag = nullptr;
    for (const Flag& candidate : flags_) {
      if (arguments[i] == candidate.name) flag = &candidate;
    }
    if (flag == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("unknown flag ", arguments[i]));
    }
    if (auto* const* boolean = std::get_if<bool*>(&flag->target)) {
      **boolean = true;
      continue;
    }
    if (i + 1 == arguments.size()) {
      return absl::InvalidArgumentError(absl::StrCat(flag->name, " needs a value"));
    }
    if (!Store(flag->target, arguments[++i])) {
      return absl::InvalidArgumentError(absl::StrCat(flag->name, ": not a number: ", arguments[i]));
    }
  }
  return absl::OkStatus();
}

std::string CommandLine::Help() const {
  std::string text;
  for (const Flag& flag : flags_) {
    const std::string fallback = Default(flag.target);
    absl::StrAppendFormat(&text, "  %-18s %s%s\n", flag.name, flag.help,
                          fallback.empty() ? "" : absl::StrCat(" (", fallback, ")"));
  }
  return text;
}

}  // namespace sallyport::bench
