/** Elements: made with attributes and children, and text only ever as text. */

type Attributes = Readonly<Record<string, string | number>>

export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag)
  set(element, attributes)
  element.append(...children)
  return element
}

export function makeSvg<Tag extends keyof SVGElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly (Node | string)[]
): SVGElementTagNameMap[Tag] {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag)
  set(element, attributes)
  element.append(...children)
  return element
}

/** Sets what differs, so that a screen reader and an animation see only real changes. */
export function set(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value))
  }
}

export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

/** An element of the page itself. */
export function byId<Kind extends HTMLElement>(id: string): Kind {
  const element = document.getElementById(id)
  if (!element) throw new Error(`The page has no element #${id}`)
  return element as Kind
}
