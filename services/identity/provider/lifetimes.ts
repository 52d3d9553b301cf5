/** How long things hold, in seconds. */
const minute = 60;
const day = 24 * 60 * minute;

export const lifetimes = {
  AccessToken: 10 * minute,
  ClientCredentials: 10 * minute,
  AuthorizationCode: minute,
  IdToken: 10 * minute,
  /** Time enough to find the mail that shows whose an address is. */
  Interaction: 60 * minute,
  /** Not used for so long, it is over (RFC 9700 section 4.14.2). */
  RefreshToken: 7 * day,
  /** However often refresh tokens are used, after so long the person is asked again. */
  Grant: 30 * day,
  Session: 14 * day,
} as const;
