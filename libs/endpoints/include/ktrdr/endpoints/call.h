// From typed functions to HTTP handlers. What a handler needs it takes as arguments, in the order in which
// they are to be checked; each type knows where in the request it stands and how to describe itself:
//
//   OperationId, WorkerId    {operation_id}, {worker_id} of the path
//   a wire type of libs/api  the JSON body; OptionalBody<T> where an empty body means the defaults
//   Query<T>                 the query, by the table of T's fields (query.h)
//   RemoteAddress            who asks
//
// It returns Result<Output>, or takes a Reply<Output> first and answers later. Another kind of argument is
// another specialisation of Argument.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "ktrdr/api/json.h"
#include "ktrdr/core/ids.h"
#include "ktrdr/endpoints/endpoint.h"
#include "ktrdr/endpoints/query.h"
#include "ktrdr/http/body_stream.h"
#include "ktrdr/http/error_mapping.h"

namespace ktrdr::endpoints {

// ---- arguments ----

template <class T>
struct OptionalBody {
  T value;
  const T* operator->() const { return &value; }
};

struct RemoteAddress {
  std::string value;  // "127.0.0.1"
};

template <class T>
struct Argument {  // a wire type: the body
  static Result<T> read(const http::Request& request) { return api::from_json<T>(request.body); }
  static void describe(Call& call) { call.body = &api::schema_of<T>; }
};

template <class T>
struct Argument<OptionalBody<T>> {
  static Result<OptionalBody<T>> read(const http::Request& request) {
    if (request.body.empty()) return OptionalBody<T>{};
    TRY_ASSIGN(T value, api::from_json<T>(request.body));
    return OptionalBody<T>{std::move(value)};
  }
  static void describe(Call& call) {
    call.body = &api::schema_of<T>;
    call.body_required = false;
  }
};

template <>
struct Argument<OperationId> {
  static Result<OperationId> read(const http::Request& request);
  static void describe(Call& call);
};

template <>
struct Argument<WorkerId> {
  static Result<WorkerId> read(const http::Request& request);
  static void describe(Call& call);
};

template <>
struct Argument<RemoteAddress> {
  static Result<RemoteAddress> read(const http::Request& request) {
    return RemoteAddress{request.remote_address};
  }
  static void describe(Call&) {}
};

template <class T>
struct Argument<Query<T>> {
  static Result<Query<T>> read(const http::Request& request) {
    Query<T> query;
    for (const auto& field : query_fields<T>()) {
      const auto text = request.query_value(field.parameter.name);
      if (text) TRY(field.read(*text, query.value));
    }
    return query;
  }
  static void describe(Call& call) {
    for (const auto& field : query_fields<T>()) call.parameters.push_back(field.parameter);
  }
};

// ---- answers ----

struct Html {
  std::string text;
};

// Events as they happen (text/event-stream): an answer that stays open.
struct EventStream {
  std::shared_ptr<http::BodyStream> body;
};

template <class Output>
struct Answer {  // a wire type
  static http::Response write(const Output& output) { return {.body = api::to_json(output)}; }
  static api::AnswerDescription describe(int status) {
    return {.status = status, .description = "Done.", .body = &api::schema_of<Output>};
  }
};

template <>
struct Answer<Html> {
  static http::Response write(const Html& page);
  static api::AnswerDescription describe(int status);
};

template <>
struct Answer<EventStream> {
  static http::Response write(const EventStream& events);
  static api::AnswerDescription describe(int status);
};

template <class Output>
http::Response answer(const Result<Output>& result, int status = 200) {
  if (!result.ok()) return http::error_response(result.error());
  http::Response response = Answer<Output>::write(*result);
  response.status = status;
  return response;
}

// The place for the one answer of a call that answers later, from any thread. Copies are the same place; when
// all are gone without an answer, the client gets a 500.
template <class Output, int... Statuses>
class Reply {
 public:
  explicit Reply(http::Responder responder)
      : responder_(std::make_shared<http::Responder>(std::move(responder))) {}

  void operator()(const Result<Output>& result, int status = 200) const {
    CHECK(((status == 200) || ... || (status == Statuses)), "a documented status");
    responder_->respond(answer(result, status));
  }

 private:
  std::shared_ptr<http::Responder> responder_;
};

// ---- calls ----

namespace internal {

// What of a request somebody reads. The rest is refused: a misspelt option is never ignored.
struct Readable {
  explicit Readable(const Call& call);
  Result<void> check(const http::Request& request) const;

  std::set<std::string, std::less<>> query;
  bool body = false;
};

template <class... Arguments>
Result<std::tuple<Arguments...>> read_arguments(const Readable& readable, const http::Request& request) {
  TRY(readable.check(request));
  std::tuple<std::optional<Arguments>...> places;
  std::optional<Error> refused;
  const auto read_one = [&]<class T>(std::optional<T>& place) {
    Result<T> value = Argument<T>::read(request);
    if (value.ok()) place.emplace(std::move(value).value());
    else refused = std::move(value).error();
    return !refused.has_value();
  };
  std::apply([&](auto&... place) { static_cast<void>((read_one(place) && ...)); }, places);
  if (refused) return *std::move(refused);
  return std::apply([](auto&... place) { return std::tuple<Arguments...>(*std::move(place)...); }, places);
}

template <class... Arguments>
Call described_call(std::vector<api::AnswerDescription> answers) {
  Call call;
  (Argument<Arguments>::describe(call), ...);
  call.answers = std::move(answers);
  return call;
}

template <class Output, class... Arguments>
Call typed_call(std::function<Result<Output>(Arguments...)> function) {
  Call call = described_call<std::decay_t<Arguments>...>({Answer<Output>::describe(200)});
  call.handler = http::SynchronousHandler(
      [function = std::move(function), readable = Readable(call)](const http::Request& request) {
        auto arguments = read_arguments<std::decay_t<Arguments>...>(readable, request);
        if (!arguments.ok()) return http::error_response(arguments.error());
        return answer(std::apply(function, *arguments));
      });
  return call;
}

template <class Output, int... Statuses, class... Arguments>
Call typed_call(std::function<void(const Reply<Output, Statuses...>&, Arguments...)> function) {
  Call call = described_call<std::decay_t<Arguments>...>(
      {Answer<Output>::describe(200), Answer<Output>::describe(Statuses)...});
  call.handler = http::ParkedHandler([function = std::move(function), readable = Readable(call)](
                                         const http::Request& request, http::Responder responder) {
    const Reply<Output, Statuses...> reply(std::move(responder));
    auto arguments = read_arguments<std::decay_t<Arguments>...>(readable, request);
    if (!arguments.ok()) return reply(std::move(arguments).error());
    std::apply(function, std::tuple_cat(std::tuple(reply), *std::move(arguments)));
  });
  return call;
}

}  // namespace internal

template <class Function>
Call call(Function function) {
  return internal::typed_call(std::function(std::move(function)));
}

// A method of a service, which outlives the table.
template <class Service, class Output, class... Arguments>
Call call(Service& service, Result<Output> (Service::*method)(Arguments...)) {
  return internal::typed_call(std::function<Result<Output>(Arguments...)>(
      [&service, method](Arguments... arguments) { return (service.*method)(arguments...); }));
}

}  // namespace ktrdr::endpoints
