// The public API, as everybody has it: `/api/v2`, with the key in the Authorization header and nowhere else.

import { session } from "./session.js";

const BASE = "/api/v2";

/** Why a call did not succeed. `status` is 0 where no answer came. */
export class ApiError extends Error {
  constructor({ status, code, message, requestId }) {
    super(message);
    this.status = status;
    this.code = code;
    this.requestId = requestId;
  }

  /** Whether the server does not have what was asked for, as opposed to refusing it. */
  get unsupported() {
    return this.status === 501 || ["ROUTE_NOT_FOUND", "METHOD_NOT_ALLOWED", "NOT_SUPPORTED"].includes(this.code);
  }
}

/** A path whose values are percent-encoded: path`/projects/${id}/branches`. */
export function path(strings, ...values) {
  return String.raw({ raw: strings }, ...values.map((value) => encodeURIComponent(value)));
}

/** A query string of what is set, with its question mark. */
export function query(values) {
  const set = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return set.length === 0 ? "" : `?${new URLSearchParams(set)}`;
}

async function call(method, at, { body, signal, key = session.key } = {}) {
  const headers = { authorization: `Bearer ${key}`, accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(BASE + at, {
      method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store", credentials: "omit", redirect: "error",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError({ status: 0, code: "", message: "The server did not answer. Check that it runs and that you can reach it." });
  }
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  if (response.status === 401 && key === session.key && session.key) session.end("expired");
  throw new ApiError({
    status: response.status,
    code: answer?.code ?? "",
    message: answer?.message || `The server answered ${response.status} without saying why.`,
    requestId: answer?.request_id ?? response.headers.get("x-request-id"),
  });
}

export const api = {
  get: (at, options) => call("GET", at, options),
  post: (at, body, options) => call("POST", at, { ...options, body }),
  patch: (at, body, options) => call("PATCH", at, { ...options, body }),
  delete: (at, options) => call("DELETE", at, options),
};
