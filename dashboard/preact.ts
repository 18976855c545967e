/** Preact, for the one page that draws with it: what the others here take of it. */

export { type ComponentChildren, Fragment, h, render, type VNode } from 'preact'
export { useEffect, useMemo, useRef, useState } from 'preact/hooks'
