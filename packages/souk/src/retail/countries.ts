/** Names in the data set that are no English country names of today. */
const aliases: Record<string, string> = {
  "channel islands": "JE",
  "czech republic": "CZ",
  eire: "IE",
  "european community": "EU",
  "hong kong": "HK",
  korea: "KR",
  rsa: "ZA",
  turkey: "TR",
  uk: "GB",
  unspecified: "ZZ",
  usa: "US",
  "west indies": "AG",
};

/** Codes that are no longer, or never were, official; some carry the name of an official one. */
const withdrawn = new Set("AN BU CS DD DY FX HV NH NT RH SU TP UK VD YD YU ZR".split(" "));

const letters = Array.from({ length: 26 }, (_, index) => String.fromCharCode(65 + index));
const english = new Intl.DisplayNames("en", { type: "region", fallback: "none" });
const codes = new Map(
  letters
    .flatMap((first) => letters.map((second) => first + second))
    .filter((code) => !withdrawn.has(code))
    .map((code) => [english.of(code)?.toLowerCase(), code] as const),
);

/** ISO 3166-1 alpha-2 code of a country's English name; `ZZ` (user-assigned: unknown) for what is none. */
export function countryCode(name: string): string {
  const lower = name.trim().toLowerCase();
  return aliases[lower] ?? codes.get(lower) ?? "ZZ";
}
