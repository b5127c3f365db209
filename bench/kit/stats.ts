// The little statistics the bars need.

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * Least squares: the factors with which each column of `rows` adds up to `y`.
 * Rows are weighted by 1/y, so that a busy cell does not outvote a quiet one.
 */
export function fit(rows: readonly (readonly number[])[], y: readonly number[]): number[] {
  const width = rows[0]?.length ?? 0;
  const matrix = Array.from({ length: width }, () => new Array<number>(width + 1).fill(0));
  rows.forEach((row, index) => {
    const weight = 1 / Math.max(1e-9, y[index] ?? 0) ** 2;
    for (let i = 0; i < width; i++) {
      const line = matrix[i] as number[];
      for (let j = 0; j < width; j++) line[j] = (line[j] ?? 0) + weight * (row[i] ?? 0) * (row[j] ?? 0);
      line[width] = (line[width] ?? 0) + weight * (row[i] ?? 0) * (y[index] ?? 0);
    }
  });
  return eliminate(matrix);
}

/** Gauss-Jordan with row exchange. */
function eliminate(matrix: number[][]): number[] {
  const width = matrix.length;
  for (let column = 0; column < width; column++) {
    const below = matrix.slice(column).map((line) => Math.abs(line[column] ?? 0));
    const pivot = column + below.indexOf(Math.max(...below));
    [matrix[column], matrix[pivot]] = [matrix[pivot] as number[], matrix[column] as number[]];
    const line = matrix[column] as number[];
    const lead = line[column] ?? Number.NaN;
    for (let j = column; j <= width; j++) line[j] = (line[j] ?? 0) / lead;
    for (let i = 0; i < width; i++) {
      if (i === column) continue;
      const other = matrix[i] as number[];
      const factor = other[column] ?? 0;
      for (let j = column; j <= width; j++) other[j] = (other[j] ?? 0) - factor * (line[j] ?? 0);
    }
  }
  return matrix.map((line) => line[width] ?? Number.NaN);
}
