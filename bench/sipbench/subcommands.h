// The subcommands of sipbench. Each takes what stands after its name and returns the exit code: 0
// done, 1 the run did not succeed (nothing completed, or wrong answers), 2 usage.
#pragma once

#include <string>
#include <vector>

namespace sallyport::bench {

int RunHandshakes(const std::vector<std::string>& arguments);
int RunRequests(const std::vector<std::string>& arguments);
int RunFairness(const std::vector<std::string>& arguments);
int RunIdle(const std::vector<std::string>& arguments);
int RunSink(const std::vector<std::string>& arguments);

}  // namespace sallyport::bench
