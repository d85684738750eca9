/** The items between the separators that no backslash keeps; trimmed, without empty ones. */
export function splitOutside(text: string, separator: string): string[] {
  const items: string[] = [];
  let item = "";
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at] as string;
    if (char === "\\") {
      item += text.slice(at, at + 2);
      at += 1;
    } else if (char === separator) {
      items.push(item);
      item = "";
    } else item += char;
  }
  items.push(item);
  return items.map((each) => each.trim()).filter((each) => each !== "");
}
