"""Regular expressions in RE2's language that cannot be made to hang, whatever the pattern and the text.

What is guaranteed
    * Time and memory are bounded by the product of pattern and text; both have limits of their own. Anything else is
      a PatternError, with RE2's words.
    * `Pattern.search` tells whether a text matches; `Captures.search` also what its groups matched, with the choices of
      Perl: the leftmost match, earlier branches first, greedy unless `?` or `(?U)` says lazy.
What is not
    * Unicode scripts by name (general categories such as `\\pL` are there). RE2 itself has neither backreferences nor
      look-around.

One data flow: text -> tree (`syntax`) -> `program` -> simulated over the text (`automaton`, `captures`).
Spec: https://github.com/google/re2/wiki/Syntax. Thompson, "Regular Expression Search Algorithm" (1968); Cox, "Regular
Expression Matching: the Virtual Machine Approach" (2009), for captures.
"""

from raftreg.regex.automaton import Pattern
from raftreg.regex.captures import Captures
from raftreg.regex.tree import PatternError

__all__ = ["Captures", "Pattern", "PatternError"]
