/** Preact, for the one page that draws with it: what the others here take of it. */

import { type ComponentChildren, h, type JSX, render } from 'preact'
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'

/** What is drawn, of whichever kind. */
export type VNode = JSX.Element
export type { ComponentChildren }
export { h, render, useEffect, useMemo, useRef, useState }
