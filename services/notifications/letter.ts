import type { OrderFacts, Template } from "./mail.ts";
import { type Language, languageOf, type Part } from "./words.ts";

/** A mail as it is sent. */
export interface Letter {
  subject: string;
  text: string;
  html: string;
}

export interface LetterOf {
  template: Template;
  /** A BCP 47 tag. */
  language: string | null;
  name: string;
  /** Where the mail's button leads, if it has one. */
  link?: string;
  order?: OrderFacts;
  /** Where one unsubscribes, if one can. */
  unsubscribe?: string;
}

/** Renders a mail, as plain text and as HTML. */
export function letter({
  template,
  language: tag,
  name: given,
  link = "",
  order,
  unsubscribe,
}: LetterOf): Letter {
  const language = languageOf(tag);
  const name = usable(given);
  const about = { link, order: order ?? { orderId: "", reference: null } };
  const { subject, parts } = language.words[template](about);
  return {
    subject: oneLine(subject),
    text: plain(language, name, parts, unsubscribe),
    html: page(language, name, subject, parts, unsubscribe),
  };
}

/** Whoever registers somebody else's address chooses the name: one that reads like a message or a link is left out. */
export const usable = (name: string): string | undefined =>
  name.length > 60 || /[:/@<>]|\.\p{L}|www/iu.test(name) ? undefined : name;

const oneLine = (text: string): string => text.replace(/\s+/g, " ").trim();

function plain(
  language: Language,
  name: string | undefined,
  parts: Part[],
  unsubscribe: string | undefined,
): string {
  const blocks = [
    language.greeting(name),
    ...parts.map(plainPart),
    language.goodbye,
    ...(unsubscribe ? [`-- \n${language.unsubscribe}:\n${unsubscribe}`] : []),
  ];
  return `${blocks.join("\n\n")}\n`;
}

function plainPart(part: Part): string {
  if ("text" in part) return part.text;
  if ("small" in part) return part.small;
  if ("button" in part) return `${part.button}:\n${part.href}`;
  const { rows, foot } = part.table;
  const all = foot ? [...rows, foot] : rows;
  const widths = [0, 1].map((at) => Math.max(...all.map((row) => row[at]?.length ?? 0)));
  const line = ([first = "", second = "", third = ""]: string[]): string =>
    `  ${first.padEnd(widths[0] ?? 0)}  ${second.padStart(widths[1] ?? 0)}  ${third}`.trimEnd();
  return all.map(line).join("\n");
}

const font =
  "font-family:system-ui,-apple-system,'Segoe UI',sans-serif;font-size:16px;line-height:1.5;color:#222";
const cell = "padding:6px 16px 6px 0;border-top:1px solid #ddd;text-align:left";

/** Styles stand in the elements: few mail programs read a style sheet. Nothing is loaded from anywhere. */
function page(
  language: Language,
  name: string | undefined,
  subject: string,
  parts: Part[],
  unsubscribe: string | undefined,
): string {
  const body = [
    `<p>${escaped(language.greeting(name))}</p>`,
    ...parts.map(htmlPart),
    `<p>${escaped(language.goodbye)}</p>`,
    ...(unsubscribe
      ? [
          `<p style="font-size:13px;color:#666"><a href="${escaped(unsubscribe)}" style="color:#666">${escaped(language.unsubscribe)}</a></p>`,
        ]
      : []),
  ];
  return `<!doctype html>
<html lang="${language.tag}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escaped(subject)}</title></head>
<body style="margin:0;padding:24px;${font}">
<div style="max-width:560px;margin:0 auto">
${body.join("\n")}
</div>
</body>
</html>
`;
}

function htmlPart(part: Part): string {
  if ("text" in part) return `<p>${escaped(part.text)}</p>`;
  if ("small" in part) return `<p style="font-size:14px;color:#555">${escaped(part.small)}</p>`;
  if ("button" in part) {
    const look = "display:inline-block;padding:10px 18px;background:#1f4d3a;color:#fff;text-decoration:none";
    return `<p><a href="${escaped(part.href)}" style="${look};border-radius:4px">${escaped(part.button)}</a></p>`;
  }
  const { head, rows, foot } = part.table;
  const row = (tag: string, cells: string[]): string =>
    `<tr>${cells.map((text) => `<${tag} style="${cell}">${escaped(text)}</${tag}>`).join("")}</tr>`;
  return [
    `<table style="border-collapse:collapse;width:100%">`,
    `<thead>${row("th", head)}</thead>`,
    `<tbody>${rows.map((one) => row("td", one)).join("")}</tbody>`,
    ...(foot ? [`<tfoot>${row("th", foot)}</tfoot>`] : []),
    "</table>",
  ].join("\n");
}

const escaped = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);
