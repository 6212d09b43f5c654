// A library whose note names a layout that no tool knows.
__asm__(".pushsection .note.mimalloc, \"a\", %note\n"
        "  .balign 4\n"
        "  .long 9, 8, 1\n"
        "  .asciz \"mimalloc\"\n"
        "  .balign 4\n"
        "  .long 4711, 0\n"
        ".popsection\n");
