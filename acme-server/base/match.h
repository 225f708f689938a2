// Match{…}: one lambda per alternative, for std::visit.
#pragma once

namespace gatehouse {

template <class... Cases>
struct Match : Cases... {
  using Cases::operator()...;
};

template <class... Cases>
Match(Cases...) -> Match<Cases...>;

}  // namespace gatehouse
