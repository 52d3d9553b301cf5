/** Does something with each, so many at once. */
export async function each<T>(items: T[], atOnce: number, act: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: Math.min(atOnce, items.length) }, async () => {
      for (const item of queue) await act(item);
    }),
  );
}
