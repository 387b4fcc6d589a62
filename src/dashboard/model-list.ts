// The models of each group for the page: what is in force and what was before, how far learning has come, and what was decided.
import type { LearningProgress } from "../runtime/learning-loop.ts";
import type { ListedModel } from "../runtime/model-switch.ts";
import type { Runtime } from "../runtime/runtime.ts";

export interface GroupModels {
  readonly name: string;
  /** Absent where the group does not learn by fine-tunes. */
  readonly learning?: LearningProgress;
  /** How far streams that learn by themselves have come, in words. */
  readonly warmUp?: string;
  /** The one in force first, then those before it, the latest first. */
  readonly versions: readonly ListedModel[];
}

export async function groupModels(runtime: Runtime): Promise<GroupModels[]> {
  const listed = await runtime.control.listModels();
  return runtime.status().groups.map(({ name, learning }) => {
    const progress = runtime.learningOf(name);
    const about = progress === undefined ? learning !== undefined && { warmUp: learning } : { learning: progress };
    return { name, ...about, versions: listed.filter(({ group }) => group === name) };
  });
}
