// Placeholder.
export const calibrationText: string =
  'def add(a, b):\n    return a + b\n\nThe quick brown fox jumps over the lazy dog.\n\n'.repeat(
    200,
  );
