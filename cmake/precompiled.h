// What nearly every file includes and nobody changes: compiled once for each set of flags. Every
// file still names what it uses; `make tidy` and the fuzz build compile without this.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

// nlohmann's header, by the one way in.
#include "../acme-server/base/json.h"
