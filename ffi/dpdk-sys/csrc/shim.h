/* What DPDK offers only as static inlines or macros, as functions and constants. */
#ifndef DPDK_SHIM_H
#define DPDK_SHIM_H

#include <stdint.h>
#include <rte_bus_vdev.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_ip_frag.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>
#include <rte_version.h>

uint16_t shim_eth_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count);
uint16_t shim_eth_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count);

struct rte_mbuf *shim_pktmbuf_alloc(struct rte_mempool *pool);
void shim_pktmbuf_free(struct rte_mbuf *mbuf);
void shim_pktmbuf_reset(struct rte_mbuf *mbuf);
int shim_pktmbuf_linearize(struct rte_mbuf *mbuf);

/* Takes buffers as they lie in the pool: one owner, one segment, the rest as the last user left it. All or none. */
int shim_mempool_get_bulk(struct rte_mempool *pool, struct rte_mbuf **mbufs, unsigned count);

/* Frees buffers of one owner and one segment each, without looking at their second cache line. */
void shim_mbuf_free_single_bulk(struct rte_mbuf **mbufs, unsigned count);

/* Gives what the calling lcore's cache holds back to the pool. */
void shim_mempool_cache_flush(struct rte_mempool *pool);

/* Objects in the pool itself, those in the lcores' caches not counted. */
unsigned shim_mempool_home_count(const struct rte_mempool *pool);

/* Takes one object off a ring; NULL when it is empty. */
void *shim_ring_dequeue(struct rte_ring *ring);

/* Adds a fragment, an IP packet without anything before it, whose header lengths are in l3_len, to a table. The whole
 * packet if that completes it, else NULL; what is given up is on the death row. */
struct rte_mbuf *shim_ipv4_reassemble(struct rte_ip_frag_tbl *table, struct rte_ip_frag_death_row *row, struct rte_mbuf *mbuf,
				      uint64_t now);

/* The same; the fragment header follows the IPv6 header. */
struct rte_mbuf *shim_ipv6_reassemble(struct rte_ip_frag_tbl *table, struct rte_ip_frag_death_row *row, struct rte_mbuf *mbuf,
				      uint64_t now);

/* 1 up, 0 down, negative errno. */
int shim_eth_link_up(uint16_t port);

int shim_errno(void);
uint32_t shim_lcore_id(void);
uint64_t shim_rdtsc(void);

/* Flags that are macros of macros, which bindgen cannot evaluate by itself. */
static const uint64_t SHIM_RX_OFFLOAD_IPV4_CKSUM = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
static const uint64_t SHIM_RX_OFFLOAD_UDP_CKSUM = RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
static const uint64_t SHIM_RX_OFFLOAD_TCP_CKSUM = RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
static const uint64_t SHIM_RX_OFFLOAD_SCATTER = RTE_ETH_RX_OFFLOAD_SCATTER;
static const uint64_t SHIM_RX_OFFLOAD_RSS_HASH = RTE_ETH_RX_OFFLOAD_RSS_HASH;
static const uint64_t SHIM_TX_OFFLOAD_IPV4_CKSUM = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
static const uint64_t SHIM_TX_OFFLOAD_UDP_CKSUM = RTE_ETH_TX_OFFLOAD_UDP_CKSUM;

static const uint64_t SHIM_RSS_IP_UDP_TCP = RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP;
static const uint32_t SHIM_MQ_RX_NONE = RTE_ETH_MQ_RX_NONE;
static const uint32_t SHIM_MQ_RX_RSS = RTE_ETH_MQ_RX_RSS;

static const uint64_t SHIM_MBUF_RX_RSS_HASH = RTE_MBUF_F_RX_RSS_HASH;
static const uint64_t SHIM_MBUF_RX_IP_CKSUM_MASK = RTE_MBUF_F_RX_IP_CKSUM_MASK;
static const uint64_t SHIM_MBUF_RX_IP_CKSUM_BAD = RTE_MBUF_F_RX_IP_CKSUM_BAD;
static const uint64_t SHIM_MBUF_RX_IP_CKSUM_GOOD = RTE_MBUF_F_RX_IP_CKSUM_GOOD;
static const uint64_t SHIM_MBUF_RX_IP_CKSUM_NONE = RTE_MBUF_F_RX_IP_CKSUM_NONE;
static const uint64_t SHIM_MBUF_RX_L4_CKSUM_MASK = RTE_MBUF_F_RX_L4_CKSUM_MASK;
static const uint64_t SHIM_MBUF_RX_L4_CKSUM_BAD = RTE_MBUF_F_RX_L4_CKSUM_BAD;
static const uint64_t SHIM_MBUF_RX_L4_CKSUM_GOOD = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
static const uint64_t SHIM_MBUF_RX_L4_CKSUM_NONE = RTE_MBUF_F_RX_L4_CKSUM_NONE;
static const uint64_t SHIM_MBUF_TX_IPV4 = RTE_MBUF_F_TX_IPV4;
static const uint64_t SHIM_MBUF_TX_IPV6 = RTE_MBUF_F_TX_IPV6;
static const uint64_t SHIM_MBUF_TX_IP_CKSUM = RTE_MBUF_F_TX_IP_CKSUM;
static const uint64_t SHIM_MBUF_TX_UDP_CKSUM = RTE_MBUF_F_TX_UDP_CKSUM;
static const uint64_t SHIM_MBUF_INDIRECT = RTE_MBUF_F_INDIRECT;
static const uint64_t SHIM_MBUF_EXTERNAL = RTE_MBUF_F_EXTERNAL;

static const uint32_t SHIM_LCORE_ID_ANY = LCORE_ID_ANY;
static const int SHIM_SOCKET_ID_ANY = SOCKET_ID_ANY;

#endif
