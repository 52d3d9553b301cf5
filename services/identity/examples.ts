import type { Examples } from "chassis";

const id = { operation: "POST /api/users", at: "/id", like: "u_Jr0mcQ0bqkqG9D3m2V1X5A" };
const made = { operation: "POST /api/clients", at: "/id", like: "c_Jr0mcQ0bqkqG9D3m2V1X5A" };
// Filled in from `.souk/dev-client.json`.
const client = "client_id=development&client_secret=…";

/** How each operation is called, so that it works when it is copied. What needs a mailed link or a person has none. */
export const examples: Examples = {
  "GET /.well-known/openid-configuration": {},
  "GET /jwks": {},
  "POST /token": { body: `grant_type=client_credentials&${client}` },
  "POST /token/introspection": { body: `token=…&${client}` },
  "GET /keys": {},
  "POST /keys/rotate": {},
  "POST /clients": { body: { name: "Warehouse", scopes: ["inventory:write"] } },
  "GET /clients": { parameters: { limit: "3" } },
  "GET /clients/{id}": { parameters: { id: made } },
  "DELETE /clients/{id}": { parameters: { id: made } },
  "POST /users": {
    body: {
      email: "grace@example.com",
      password: "a long walk by the harbour",
      name: "Grace Hopper",
      language: "en",
    },
  },
  "GET /users": { parameters: { role: "customer", limit: "3" } },
  "GET /users/{id}": { parameters: { id } },
  "PATCH /users/{id}": { parameters: { id }, body: { name: "Grace Brewster Hopper" } },
  "GET /users/{id}/export": { parameters: { id } },
  "POST /users/{id}/verification-mail": { parameters: { id } },
  "POST /users/forgot-password": { body: { email: "grace@example.com" } },
  "DELETE /users/{id}": { parameters: { id } },
};
