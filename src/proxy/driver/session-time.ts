/** `h:mm:ss.mmm`, as the log names the length of a session. */
export function formatSessionTime(lengthMs: number): string {
  const seconds = Math.floor(lengthMs / 1000);
  const parts = [Math.floor(seconds / 60) % 60, seconds % 60];
  const minutesAndSeconds = parts.map((part) => String(part).padStart(2, "0")).join(":");
  const milliseconds = String(Math.floor(lengthMs % 1000)).padStart(3, "0");
  return `${Math.floor(seconds / 3600)}:${minutesAndSeconds}.${milliseconds}`;
}
