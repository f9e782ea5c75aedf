//! A component that is small enough and right in every way, and that no compiler gets done with.

/// Locals of the function: as many as there may be, all alive all the time.
const LOCALS: u32 = 50_000;
/// As long as a function may be, nearly.
const BODY_BYTES: usize = 7_500_000;
/// Sections of a module, and the one of a component that holds a module.
const TYPES: u8 = 1;
const FUNCTIONS: u8 = 3;
const CODE: u8 = 10;
const CORE_MODULE: u8 = 1;

/// The component with one more module in it, which nothing ever uses.
pub(crate) fn with_bomb(component: &[u8]) -> Vec<u8> {
    [component, &section(CORE_MODULE, &module())].concat()
}

fn module() -> Vec<u8> {
    let types = [&[1, 0x60][..], &[0, 0]].concat();
    let code = [&[1][..], &sized(&body())].concat();
    [&b"\0asm\x01\0\0\0"[..], &section(TYPES, &types), &section(FUNCTIONS, &[1, 0]), &section(CODE, &code)].concat()
}

/// One loop in which each local depends on two others far away.
fn body() -> Vec<u8> {
    const I64: u8 = 0x7e;
    let (block, get, set, add, wrap, again_if, end) = ([0x03, 0x40], 0x20, 0x21, 0x7c, 0xa7, [0x0d, 0x00], 0x0b);
    let mut body = [&[1][..], &number(LOCALS), &[I64], &block].concat();
    let mut at = 0_u32;
    while body.len() < BODY_BYTES {
        at += 1;
        for from in [at.wrapping_mul(7_919), at.wrapping_mul(104_729)] {
            body.push(get);
            body.extend(number(from % LOCALS));
        }
        body.extend([add, set]);
        body.extend(number(at % LOCALS));
        if at.is_multiple_of(64) {
            body.push(get);
            body.extend(number(at % LOCALS));
            body.push(wrap);
            body.extend(again_if);
        }
    }
    body.extend([end, end]);
    body
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id][..], &sized(content)].concat()
}

fn sized(content: &[u8]) -> Vec<u8> {
    [&number(content.len() as u32)[..], content].concat()
}

/// LEB128, as WebAssembly writes numbers.
fn number(mut number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
