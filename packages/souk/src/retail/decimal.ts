/** Exact decimal arithmetic on prices with up to six decimals, as whole millionths. */

const scale = 1_000_000n;

/** A decimal number as millionths; undefined when it is none. Accepts `1.5`, `1,5` and `1,234.50`. */
export function parseDecimal(text: string): bigint | undefined {
  const plain =
    /^-?\d+,\d+$/.test(text) && !/^-?\d{1,3},\d{3}$/.test(text)
      ? text.replace(",", ".")
      : text.replaceAll(",", "");
  const match = /^(-?)(\d+)(?:\.(\d{1,6})\d*)?$/.exec(plain);
  if (!match) return undefined;
  const [, sign, whole = "0", fraction = ""] = match;
  const value = BigInt(whole) * scale + BigInt(fraction.padEnd(6, "0"));
  return sign === "-" ? -value : value;
}

/** Minor units (hundredths) of a non-negative number of millionths, half to even. */
export function toMinor(millionths: bigint): number {
  const unit = scale / 100n;
  const whole = millionths / unit;
  const rest = (millionths % unit) * 2n;
  const up = rest > unit || (rest === unit && whole % 2n === 1n);
  return Number(up ? whole + 1n : whole);
}
