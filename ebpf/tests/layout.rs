//! The reader of `probes/events.h`: what it understands and what it refuses. That its offsets are the
//! compiler's is asserted in every build.

#![allow(clippy::expect_used)]

#[path = "../build/layout.rs"]
mod layout;

use layout::Layout;

#[test]
fn fields_get_their_offsets() {
    let text = "#ifndef X\n#define COUNT 3 /* some */\n/* a\n * comment */\nstruct inner {\n\t__u8 a[COUNT];\n\t__u8 b;\n};\n\
                struct outer {\n\t__u64 first;\t/* why */\n\tstruct inner parts[2];\n};\n#endif\n";
    let layout = Layout::parse(text).expect("understood");
    let rust = layout.rust();
    for wanted in [
        "pub const COUNT: u32 = 3;",
        "pub mod inner {",
        "pub const B: usize = 3;",
        "pub const PARTS: usize = 8;",
        "pub const SIZE: usize = 16;",
    ] {
        assert!(rust.contains(wanted), "{wanted} is not in:\n{rust}");
    }
    let check = "_Static_assert(__builtin_offsetof(struct outer, parts) == 8,";
    assert!(layout.assertions().contains(check));
}

#[test]
fn what_is_not_understood_is_refused_with_its_line() {
    let cases = [
        (
            "struct a {\n\t__u8 b;\n\t__u32 c;\n};\n",
            "events.h:3: implicit padding",
        ),
        (
            "struct a {\n\t__u32 b;\n\t__u8 c;\n};\n",
            "events.h:4: implicit padding",
        ),
        ("struct a {\n\tint b;\n};\n", "events.h:2: not a field"),
        ("#define A (1 << 2)\n", "events.h:1: not a plain number"),
        ("typedef int a;\n", "events.h:1: not understood"),
        ("};\n", "events.h:1: no struct"),
    ];
    for (text, wanted) in cases {
        let error = Layout::parse(text).err().expect(wanted);
        assert!(error.starts_with(wanted), "{error}");
    }
}
