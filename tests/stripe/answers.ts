/** What Stripe says no with (https://docs.stripe.com/api/errors). */
export class Refused extends Error {
  readonly status: number;
  readonly error: Record<string, unknown>;
  constructor(status: number, error: Record<string, unknown>) {
    super(String(error.code ?? error.type));
    this.status = status;
    this.error = error;
  }
}

export const invalid = (code: string, more: Record<string, unknown> = {}): Refused =>
  new Refused(400, { type: "invalid_request_error", code, message: code, ...more });

export const json = (status: number, body: unknown, headers: Record<string, string> = {}): Response =>
  new Response(typeof body === "string" ? body : JSON.stringify(body), {
    status,
    headers: { "content-type": "application/json", "request-id": "req_test", ...headers },
  });
