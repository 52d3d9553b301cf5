/**
 * `a × b ÷ c`, rounded half to even: exact, whatever the size of the product.
 * @param a a whole number from 0 to 2^53 − 1, like `b`
 * @param c likewise, and not 0
 */
export function halfEven(a: number, b: number, c: number): number {
  const product = a * b;
  if (!Number.isSafeInteger(product)) return Number(large(BigInt(a) * BigInt(b), BigInt(c)));
  const rest = product % c;
  const whole = (product - rest) / c;
  if (rest * 2 === c) return whole + (whole % 2);
  return rest * 2 > c ? whole + 1 : whole;
}

function large(product: bigint, c: bigint): bigint {
  const whole = product / c;
  const twice = (product % c) * 2n;
  if (twice === c) return whole + (whole % 2n);
  return twice > c ? whole + 1n : whole;
}

/**
 * Spreads an amount over parts in proportion to what each is worth. The shares always sum to the amount, and none is
 * more than its part is worth.
 * @param amount at most the sum of `worth`
 */
export function spread(amount: number, worth: number[]): number[] {
  const all = worth.reduce((sum, one) => sum + one, 0);
  if (all === 0) return worth.map(() => 0);
  let upTo = 0;
  let given = 0;
  return worth.map((one) => {
    upTo += one;
    const share = halfEven(amount, upTo, all) - given;
    given += share;
    return share;
  });
}
