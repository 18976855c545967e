/** `signal-mesh completion`: what makes bash, zsh and fish complete commands and flags. */

import { SignalMeshError } from '../src/errors.ts'
import { COMMANDS, type Command } from './commands.ts'
import { FLAGS as OF_NODE } from './config.ts'
import { onOff } from './flag-values.ts'
import { type Flags, flagName, helpLines, parseFlags } from './flags.ts'

interface Settings {
  readonly json: boolean
  readonly help: boolean
}

const FLAGS: Flags<Settings> = {
  json: { ...onOff, twin: false, about: 'Prints it within JSON' },
  help: { ...onOff, twin: false, about: 'Prints this' },
}

/** What stands after the command's name and takes no flag of a node. */
const SHELLS = ['bash', 'zsh', 'fish'] as const
type Shell = (typeof SHELLS)[number]

const PROGRAM = 'signal-mesh'

export const completion: Command = async (_, host) => {
  const { settings, rest } = parseFlags(FLAGS, host.argv, host.env)
  if (settings.help) {
    host.out(`Prints what completes commands and flags of ${PROGRAM} in a shell.

Usage:
  bash  source <(${PROGRAM} completion bash), in ~/.bashrc
  zsh   source <(${PROGRAM} completion zsh), in ~/.zshrc after compinit
  fish  ${PROGRAM} completion fish | source, in ~/.config/fish/config.fish

${helpLines(FLAGS)}\n`)
    return 0
  }
  const shell = SHELLS.find((name) => name === rest[0])
  if (!shell || rest.length > 1) {
    throw new SignalMeshError('BAD_CONFIG', `Command completion takes one of ${SHELLS.join(', ')}`)
  }
  const script = SCRIPTS[shell]()
  host.out(settings.json ? `${JSON.stringify({ shell, script })}\n` : script)
  return 0
}

const flags = (): string[] => Object.keys(OF_NODE).map(flagName)
const commands = (): string[] => Object.keys(COMMANDS)

/** Flags whose value is a path. */
function pathFlags(): string[] {
  const entries = Object.entries(OF_NODE) as [string, { readonly value?: string }][]
  return entries
    .filter(([, { value }]) => /^(FILE|DIR)\b/.test(value ?? ''))
    .map(([key]) => flagName(key))
}

const SCRIPTS: Readonly<Record<Shell, () => string>> = {
  bash: () => `# Completion of ${PROGRAM} for bash.
_signal_mesh() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}"
  COMPREPLY=()
  case "$before" in
    ${pathFlags().join('|')}) COMPREPLY=($(compgen -f -- "$word")); return ;;
    completion) COMPREPLY=($(compgen -W "${SHELLS.join(' ')}" -- "$word")); return ;;
  esac
  case "$COMP_CWORD:$word" in
    *:-*) COMPREPLY=($(compgen -W "${flags().join(' ')}" -- "$word")) ;;
    1:*) COMPREPLY=($(compgen -W "${commands().join(' ')}" -- "$word")) ;;
  esac
}
complete -o filenames -F _signal_mesh ${PROGRAM}
`,
  zsh: () => `#compdef ${PROGRAM}
_signal_mesh() {
  local -a commands flags
  commands=(${commands().join(' ')})
  flags=(${flags().join(' ')})
  case "\${words[CURRENT-1]}" in
    ${pathFlags().join('|')}) _files; return ;;
    completion) compadd -- ${SHELLS.join(' ')}; return ;;
  esac
  if [[ "\${words[CURRENT]}" == -* ]]; then compadd -- $flags
  elif (( CURRENT == 2 )); then compadd -- $commands
  fi
}
compdef _signal_mesh ${PROGRAM}
`,
  fish: () =>
    [
      `# Completion of ${PROGRAM} for fish.`,
      `complete -c ${PROGRAM} -f`,
      ...Object.entries(COMMANDS).map(
        ([name, { about }]) =>
          `complete -c ${PROGRAM} -n __fish_use_subcommand -a ${name} -d ${quoted(about)}`,
      ),
      `complete -c ${PROGRAM} -n '__fish_seen_subcommand_from completion' -a '${SHELLS.join(' ')}'`,
      ...(Object.entries(OF_NODE) as [string, { value?: string; about: string }][]).map(
        ([key, { value, about }]) =>
          `complete -c ${PROGRAM} -l ${flagName(key).slice(2)}${wants(value)} -d ${quoted(about)}`,
      ),
      '',
    ].join('\n'),
}

function wants(value: string | undefined): string {
  if (value === undefined) return ''
  return /^(FILE|DIR)\b/.test(value) ? ' -rF' : ' -x'
}

function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`
}
