// Which topics a broker's filter catches, by the words of MQTT and nothing of ours.

function levelsMatch(filter: readonly string[], topic: readonly string[]): boolean {
  if (filter[0] === "#") return true;
  if (filter.length === 0 || topic.length === 0) return filter.length === topic.length;
  return (
    (filter[0] === "+" || filter[0] === topic[0]) &&
    (levelsMatch(filter.slice(1), topic.slice(1)) || (topic.length === 1 && filter[1] === "#" && filter.length === 2))
  );
}

/** [MQTT-4.7] as one reads it, for a filter and a topic without $. */
export function filterMatches(filter: string, topic: string): boolean {
  return levelsMatch(filter.split("/"), topic.split("/"));
}
