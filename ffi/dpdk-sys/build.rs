//! Finds libdpdk with pkg-config, compiles the shim with exactly the flags that
//! its authors ask for, and makes the bindings from the installed headers.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// The oldest libdpdk whose API the shim and the wrappers are written for.
const OLDEST_VERSION: &str = "22.11";

/// Drivers whose API is called directly. pkg-config leaves drivers out: the
/// others are loaded by the EAL at run time.
const DRIVERS: [&str; 2] = ["rte_bus_vdev", "rte_net_ring"];

const FUNCTIONS: [&str; 42] = [
    "rte_eal_init",
    "rte_eth_allmulticast_enable",
    "rte_eth_dev_adjust_nb_rx_tx_desc",
    "rte_eth_dev_close",
    "rte_eth_dev_configure",
    "rte_eth_dev_get_mtu",
    "rte_eth_dev_get_name_by_port",
    "rte_eth_dev_get_port_by_name",
    "rte_eth_dev_info_get",
    "rte_eth_dev_is_valid_port",
    "rte_eth_dev_rx_offload_name",
    "rte_eth_dev_set_mtu",
    "rte_eth_dev_socket_id",
    "rte_eth_dev_start",
    "rte_eth_dev_stop",
    "rte_eth_dev_tx_offload_name",
    "rte_eth_from_rings",
    "rte_eth_macaddr_get",
    "rte_eth_promiscuous_enable",
    "rte_eth_rx_queue_setup",
    "rte_eth_stats_get",
    "rte_eth_stats_reset",
    "rte_eth_tx_queue_setup",
    "rte_get_rx_ol_flag_name",
    "rte_get_tsc_hz",
    "rte_get_tx_ol_flag_name",
    "rte_ip_frag_free_death_row",
    "rte_ip_frag_table_create",
    "rte_ip_frag_table_del_expired_entries",
    "rte_ip_frag_table_destroy",
    "rte_mempool_avail_count",
    "rte_mempool_free",
    "rte_pktmbuf_copy",
    "rte_pktmbuf_pool_create",
    "rte_ring_create",
    "rte_ring_free",
    "rte_strerror",
    "rte_thread_register",
    "rte_thread_unregister",
    "rte_vdev_init",
    "rte_vdev_uninit",
    "rte_version",
];

fn main() {
    println!("cargo:rerun-if-changed=csrc/shim.c");
    println!("cargo:rerun-if-changed=csrc/shim.h");
    if let Err(problem) = build() {
        eprintln!("{problem}");
        std::process::exit(1);
    }
}

fn build() -> Result<(), String> {
    let library = pkg_config::Config::new()
        .atleast_version(OLDEST_VERSION)
        .cargo_metadata(false)
        .probe("libdpdk")
        .map_err(|problem| {
            format!(
                "libdpdk {OLDEST_VERSION} or newer was not found by pkg-config.\n\
                 On Debian: apt-get install libdpdk-dev pkg-config clang libclang-dev\n\
                 ({problem})"
            )
        })?;
    // The crate's answer holds include paths and defines only; `-march` and
    // `-include rte_config.h` are as necessary, so the tool is asked itself.
    let flags = compiler_flags()?;
    compile_shim(&flags);
    generate_bindings(&flags)?;
    link(&library);
    Ok(())
}

fn compiler_flags() -> Result<Vec<String>, String> {
    let tool = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".to_owned());
    let output = Command::new(&tool)
        .args(["--cflags", "libdpdk"])
        .output()
        .map_err(|problem| format!("{tool} --cflags libdpdk: {problem}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{tool} --cflags libdpdk: {text}"));
    }
    let text = String::from_utf8(output.stdout).map_err(|problem| problem.to_string())?;
    Ok(split_flags(&text))
}

/// Splits at white space that no backslash precedes, as pkg-config quotes.
fn split_flags(text: &str) -> Vec<String> {
    let mut flags = Vec::new();
    let mut flag = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => flag.extend(characters.next()),
            space if space.is_whitespace() => {
                if !flag.is_empty() {
                    flags.push(std::mem::take(&mut flag));
                }
            }
            other => flag.push(other),
        }
    }
    if !flag.is_empty() {
        flags.push(flag);
    }
    flags
}

fn compile_shim(flags: &[String]) {
    let mut compiler = cc::Build::new();
    // DPDK's own headers do not compile without warnings everywhere.
    compiler.file("csrc/shim.c").warnings(false).opt_level(3);
    for flag in flags {
        compiler.flag(flag);
    }
    compiler.compile("dpdk_shim");
}

fn generate_bindings(flags: &[String]) -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let mut builder = bindgen::Builder::default()
        .header("csrc/shim.h")
        // Machine flags change code, not declarations, and libclang may be older than the compiler.
        .clang_args(flags.iter().filter(|flag| !flag.starts_with("-m")))
        .allowlist_function("shim_.*")
        .allowlist_var("SHIM_.*")
        .allowlist_var("RTE_PKTMBUF_HEADROOM|RTE_MAX_LCORE|RTE_ETHER_HDR_LEN|RTE_ETHER_CRC_LEN|RTE_ETH_NAME_MAX_LEN|RING_F_S[PC]_.*")
        // Packed structures with aligned members, which Rust cannot express (E0588).
        .opaque_type("rte_arp_.*|rte_l2tpv2_combined_msg_hdr")
        // Its field names differ between versions: `mbuf.rs` has our own layout, which the shim asserts.
        .blocklist_type("rte_mbuf")
        .raw_line("use crate::mbuf::rte_mbuf;")
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .derive_default(true)
        .generate_comments(false)
        .layout_tests(true);
    for function in FUNCTIONS {
        builder = builder.allowlist_function(function);
    }
    let bindings = builder.generate().map_err(|problem| {
        format!("bindgen over the headers of libdpdk: {problem}\n(it needs libclang: apt-get install libclang-dev)")
    })?;
    bindings
        .write_to_file(out.join("bindings.rs"))
        .map_err(|problem| problem.to_string())
}

/// Names every library of libdpdk's own list; the linker, which rustc runs
/// with `--as-needed`, keeps those that are used.
fn link(library: &pkg_config::Library) {
    for path in &library.link_paths {
        println!("cargo:rustc-link-search=native={}", path.display());
    }
    let own = library.libs.iter().filter(|name| name.starts_with("rte_"));
    for name in own.map(String::as_str).chain(DRIVERS) {
        println!("cargo:rustc-link-lib=dylib={name}");
    }
}
