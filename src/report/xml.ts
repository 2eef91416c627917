/** Text in XML 1.0: what may not be there at all is replaced, the rest is escaped. */
export const escapeXml = (s: string): string =>
  s.replace(/[^\t\n\r\x20-\ud7ff\ue000-\ufffd]/g, '?').replace(/[&<>"']/g, c => `&#${c.charCodeAt(0)};`);
