// Result<T>: a value or an Error. Errors are returned, never thrown; see docs in error.h.
//
//   Result<Operation> cancel(OperationId id);
//   TRY_ASSIGN(const Operation operation, service.cancel(id));   // returns the error to our caller
//   TRY(file.sync());                                            // the same for Result<void>
#pragma once

#include <optional>
#include <utility>
#include <variant>

#include "ktrdr/core/check.h"
#include "ktrdr/core/error.h"

namespace ktrdr {

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { return CHECK(ok(), "value() of a Result that holds an error"), std::get<0>(state_); }
  const T& value() const& {
    return CHECK(ok(), "value() of a Result that holds an error"), std::get<0>(state_);
  }
  // By value, so that `for (auto& x : *store.list())` does not walk through a list that is gone.
  T value() && {
    return CHECK(ok(), "value() of a Result that holds an error"), std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& {
    return CHECK(!ok(), "error() of a Result that holds a value"), std::get<1>(state_);
  }
  Error&& error() && {
    return CHECK(!ok(), "error() of a Result that holds a value"), std::get<1>(std::move(state_));
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const& { return CHECK(!ok(), "error() of a Result that holds a value"), *error_; }
  Error&& error() && { return CHECK(!ok(), "error() of a Result that holds a value"), *std::move(error_); }

 private:
  std::optional<Error> error_;
};

}  // namespace ktrdr

#define KTRDR_CONCAT_INNER(a, b) a##b
#define KTRDR_CONCAT(a, b) KTRDR_CONCAT_INNER(a, b)

#define TRY(expression)                                                 \
  do {                                                                  \
    if (auto ktrdr_try_result = (expression); !ktrdr_try_result.ok()) { \
      return std::move(ktrdr_try_result).error();                       \
    }                                                                   \
  } while (false)

#define TRY_ASSIGN_INNER(temporary, declaration, expression) \
  auto temporary = (expression);                             \
  if (!temporary.ok()) return std::move(temporary).error();  \
  declaration = std::move(temporary).value()

#define TRY_ASSIGN(declaration, expression) \
  TRY_ASSIGN_INNER(KTRDR_CONCAT(ktrdr_try_, __LINE__), declaration, expression)
