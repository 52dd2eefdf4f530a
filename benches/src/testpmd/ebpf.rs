//! eBPF programs that testpmd runs for each frame (`bpf-load`): what paces a source, and what stops one.
//!
//! A program is some instructions in a row, in an ELF file of one section as DPDK's loader reads it. Nothing compiles
//! them but DPDK.

/// `r0 = VALUE`.
const MOV_IMMEDIATE: u8 = 0xb7;
/// `r0 *= r0`.
const MUL: u8 = 0x2f;
/// `r0 |= VALUE`.
const OR_IMMEDIATE: u8 = 0x47;
const EXIT: u8 = 0x95;

/// More than EM_BPF has no architecture.
const EM_BPF: u16 = 247;
const HEADER_OCTETS: usize = 64;
const SECTION_NAMES: &[u8] = b"\0.text\0.shstrtab\0";
const TEXT_NAME: u32 = 1;
const NAMES_NAME: u32 = 7;
const SHT_PROGBITS: u32 = 1;
const SHT_STRTAB: u32 = 3;
/// Occupies memory, and is executed.
const SHF_ALLOC_EXECINSTR: u64 = 6;

/// A program that lets every frame through after so many multiplications, each of which waits for the last one.
pub fn delay(multiplications: u32) -> Vec<u8> {
    let mut text = Vec::new();
    text.extend(instruction(MOV_IMMEDIATE, 3));
    for _ in 0..multiplications {
        text.extend(instruction(MUL, 0));
    }
    // Not 0: that would drop the frame.
    text.extend(instruction(OR_IMMEDIATE, 1));
    text.extend(instruction(EXIT, 0));
    object(&text)
}

/// A program that drops every frame.
pub fn drop_all() -> Vec<u8> {
    let text = [instruction(MOV_IMMEDIATE, 0), instruction(EXIT, 0)];
    object(text.as_flattened())
}

/// On register 0, both as source and as destination.
fn instruction(code: u8, immediate: i32) -> [u8; 8] {
    let [a, b, c, d] = immediate.to_le_bytes();
    [code, 0, 0, 0, a, b, c, d]
}

/// A relocatable ELF file, 64 bits, little-endian, with this text.
fn object(text: &[u8]) -> Vec<u8> {
    let names_at = HEADER_OCTETS + text.len();
    let sections_at = (names_at + SECTION_NAMES.len()).next_multiple_of(8);
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend(1_u16.to_le_bytes());
    file.extend(EM_BPF.to_le_bytes());
    file.extend(1_u32.to_le_bytes());
    // No entry, no program headers.
    file.extend([0; 16]);
    file.extend((sections_at as u64).to_le_bytes());
    file.extend(0_u32.to_le_bytes());
    for short in [HEADER_OCTETS as u16, 0, 0, 64, 3, 2] {
        file.extend(short.to_le_bytes());
    }
    file.extend(text);
    file.extend(SECTION_NAMES);
    file.resize(sections_at, 0);
    file.extend([0; 64]);
    file.extend(section(
        TEXT_NAME,
        SHT_PROGBITS,
        SHF_ALLOC_EXECINSTR,
        HEADER_OCTETS,
        text.len(),
    ));
    file.extend(section(
        NAMES_NAME,
        SHT_STRTAB,
        0,
        names_at,
        SECTION_NAMES.len(),
    ));
    file
}

fn section(name: u32, kind: u32, flags: u64, at: usize, octets: usize) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend(name.to_le_bytes());
    header.extend(kind.to_le_bytes());
    // Its address: none.
    for long in [flags, 0, at as u64, octets as u64] {
        header.extend(long.to_le_bytes());
    }
    // No link, no information; aligned to an instruction; no entries.
    header.extend([0; 8]);
    for long in [8_u64, 0] {
        header.extend(long.to_le_bytes());
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_multiplication_is_one_instruction() {
        let [none, some] = [0, 100].map(|count| delay(count).len());
        assert_eq!(some - none, 800);
    }

    #[test]
    fn sections_are_where_the_header_says() {
        let file = drop_all();
        let long = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap()) as usize;
        let sections_at = long(40);
        assert_eq!(file.len(), sections_at + 3 * 64);
        let text = sections_at + 64;
        assert_eq!((long(text + 24), long(text + 32)), (64, 16));
        assert_eq!(
            file[64..80],
            *[[0xb7, 0, 0, 0, 0, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]].as_flattened()
        );
        let names = sections_at + 128;
        assert_eq!(file[long(names + 24)..][..long(names + 32)], *SECTION_NAMES);
    }
}
