/**
 * Loads what trains, which the published package leaves out.
 * @throws {Error} One line on what to do where it, or libtorch, is not there.
 */
export async function trainingModule<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new Error('training needs a clone of the repository, with npm ci && npm run setup:torch', { cause: error });
  }
}

/** Reads JSON that a user wrote. */
export function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${path}: expected JSON: ${(error as Error).message}`, { cause: error });
  }
}
