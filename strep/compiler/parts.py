"""Compile rules that only other rules call: no further than to what a rule that Python calls is made of.

Numba makes machine code of each function by itself, from what it calls as well: a rule at the bottom is optimised as
often as there are rules above it. Here it is once, in the rule that Python calls, after all are linked into that.
"""

from __future__ import annotations

from typing import Any

from numba._dynfunc import make_function
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.typed_passes import NativeLowering


class PartLibrary(JITCodeLibrary):
    """A library that is linked into others, as it was lowered."""

    def finalize(self) -> None:
        """Link in what is called, and leave the rest to who links this."""
        for library in dict.fromkeys(self._linking_libraries):
            self._reload_init.update(library._reload_init)
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class PartLowering(NativeLowering):
    """A pass that lowers a function into a PartLibrary; nothing can be called there."""

    _name = "part_lowering"

    def run_pass(self, state: Any) -> bool:
        """Lower, and name the function by an address that is none."""
        state.library = PartLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        super().run_pass(state)
        made, kept = state["cr"], (state.library,)
        name = make_function(made.fndesc.lookup_module(), made.fndesc.qualname, "", 0, made.env, kept)
        state.targetctx.insert_user_function(name, made.fndesc, [state.library])
        state["cr"] = made._replace(cfunc=name)
        return True


class PartCompiler(CompilerBase):
    """A compiler that is numba's own up to there."""

    def define_pipelines(self) -> list[PassManager]:
        """Give numba's passes, with one in another's place."""
        usual = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes = PassManager("part")
        for each, reason in usual.passes:
            passes.add_pass(PartLowering if each is NativeLowering else each, reason)
        passes.finalize()
        return [passes]
