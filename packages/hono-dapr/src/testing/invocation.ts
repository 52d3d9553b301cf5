import { problem } from "./answers.ts";
import type { Rules } from "./rules.ts";

interface Inside {
  rules: Rules;
  isRunning(appId: string): boolean;
  toApp(appId: string, path: string, init: RequestInit): Promise<Response>;
}

/** Calls the app that the request names, as its sidecar would. */
export async function invoke(
  from: string,
  request: Request,
  { rules, isRunning, toApp }: Inside,
): Promise<Response> {
  const url = new URL(request.url);
  const target = invocationTarget(url.pathname, request.headers);
  if (!target)
    return problem(404, "ERR_DIRECT_INVOKE", "failed getting app id either from the URL path or the header");
  const { to, method } = target;
  const failed = (reason: string, status = 500) =>
    problem(status, "ERR_DIRECT_INVOKE", `failed to invoke, id: ${to}, err: ${reason}`);
  if (hasForbidden(method)) return failed("rpc error: code = InvalidArgument desc = invalid method");
  if (!isRunning(to)) return failed("no host found with the given ID");
  if (!rules.mayCall(from, to, request.method, `/${method}`)) {
    const operation = `operation: ${method} verb: ${request.method}`;
    return failed(
      `rpc error: code = PermissionDenied desc = access control policy has denied access to id: ${from} ${operation}`,
      403,
    );
  }
  // The app's side parses the path as a URL: a percent sign that encodes nothing cannot be sent.
  if (/%(?![0-9a-f]{2})/i.test(method)) return failed("invalid URL escape");

  const headers = new Headers(request.headers);
  for (const name of ["dapr-app-id", "host", "connection", "transfer-encoding"]) headers.delete(name);
  headers.set("dapr-caller-app-id", from);
  headers.set("dapr-callee-app-id", to);
  if (!headers.has("traceparent")) headers.set("traceparent", `00-${"0".repeat(32)}-${"0".repeat(16)}-00`);
  const { method: verb, body, signal } = request;
  const init: RequestInit = { method: verb, headers, body, signal, ...(body && { duplex: "half" }) };
  try {
    const response = await toApp(to, `/${method}${url.search}`, init);
    const passed = new Headers(response.headers);
    passed.delete("content-length");
    return new Response(response.body, { status: response.status, headers: passed });
  } catch (error) {
    return failed(error instanceof Error ? error.message : String(error));
  }
}

/** As daprd finds them: the header before Basic credentials before the path, which it decodes once and cleans. */
function invocationTarget(pathname: string, headers: Headers): { to: string; method: string } | null {
  const path = decodeURIComponent(pathname);
  const whole = clean(path);
  const header = headers.get("dapr-app-id");
  if (header) return { to: header, method: whole };
  const basic = /^Basic (.+)$/.exec(headers.get("authorization") ?? "")?.[1];
  const credentials = basic && /^[\w+/=]+$/.test(basic) ? atob(basic) : "";
  const named = /^dapr-app-id:([^:]*)$/i.exec(credentials)?.[1];
  if (named) return { to: named, method: whole };
  const match = /^\/v1\.0\/invoke\/(.+?)\/method\/(.*)$/s.exec(path);
  return match?.[1] ? { to: match[1], method: clean(match[2] ?? "") } : null;
}

/** As Go's `path.Clean`, without a slash at the start. */
function clean(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}

/** daprd refuses `#`, `?` and control characters in what it has decoded. */
const hasForbidden = (method: string): boolean =>
  [...method].some((character) => {
    const code = character.charCodeAt(0);
    return character === "#" || character === "?" || code < 0x20 || code === 0x7f;
  });
