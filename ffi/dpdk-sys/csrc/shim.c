#include <stddef.h>

#include "shim.h"

/* The layout that src/mbuf.rs repeats. 24.11 put several of these into
 * anonymous unions, which changed their path for bindgen but no offset. */
#define AT(field, offset) \
	_Static_assert(offsetof(struct rte_mbuf, field) == (offset), "rte_mbuf." #field " moved")
AT(buf_addr, 0);
AT(data_off, 16);
AT(refcnt, 18);
AT(nb_segs, 20);
AT(port, 22);
AT(ol_flags, 24);
AT(packet_type, 32);
AT(pkt_len, 36);
AT(data_len, 40);
AT(vlan_tci, 42);
AT(hash.rss, 44);
AT(vlan_tci_outer, 52);
AT(buf_len, 54);
AT(pool, 56);
AT(next, 64);
AT(tx_offload, 72);
_Static_assert(sizeof(struct rte_mbuf) == 128, "rte_mbuf changed its size");

/* The bit-fields of tx_offload as src/mbuf.rs packs them. */
_Static_assert(RTE_MBUF_L2_LEN_BITS == 7 && RTE_MBUF_L3_LEN_BITS == 9,
	       "tx_offload changed its bit-fields");

uint16_t shim_eth_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return rte_eth_rx_burst(port, queue, mbufs, count);
}

uint16_t shim_eth_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return rte_eth_tx_burst(port, queue, mbufs, count);
}

struct rte_mbuf *shim_pktmbuf_alloc(struct rte_mempool *pool)
{
	return rte_pktmbuf_alloc(pool);
}

int shim_mempool_get_bulk(struct rte_mempool *pool, struct rte_mbuf **mbufs, unsigned count)
{
	return rte_mempool_get_bulk(pool, (void **)mbufs, count);
}

void shim_mbuf_free_single_bulk(struct rte_mbuf **mbufs, unsigned count)
{
	unsigned start = 0;

	while (start < count) {
		struct rte_mempool *pool = mbufs[start]->pool;
		unsigned end = start;

		while (end < count && mbufs[end]->pool == pool && RTE_MBUF_DIRECT(mbufs[end]))
			end++;
		if (end == start)
			rte_pktmbuf_free(mbufs[end++]);
		else
			rte_mempool_put_bulk(pool, (void **)&mbufs[start], end - start);
		start = end;
	}
}

void shim_pktmbuf_free(struct rte_mbuf *mbuf)
{
	rte_pktmbuf_free(mbuf);
}

void shim_pktmbuf_reset(struct rte_mbuf *mbuf)
{
	rte_pktmbuf_reset(mbuf);
}

int shim_pktmbuf_linearize(struct rte_mbuf *mbuf)
{
	return rte_pktmbuf_linearize(mbuf);
}

void shim_mempool_cache_flush(struct rte_mempool *pool)
{
	rte_mempool_cache_flush(NULL, pool);
}

unsigned shim_mempool_home_count(const struct rte_mempool *pool)
{
	return rte_mempool_get_ops(pool->ops_index)->get_count(pool);
}

void *shim_ring_dequeue(struct rte_ring *ring)
{
	void *object = NULL;

	return rte_ring_dequeue(ring, &object) == 0 ? object : NULL;
}

struct rte_mbuf *shim_ipv4_reassemble(struct rte_ip_frag_tbl *table, struct rte_ip_frag_death_row *row, struct rte_mbuf *mbuf,
				      uint64_t now)
{
	return rte_ipv4_frag_reassemble_packet(table, row, mbuf, now, rte_pktmbuf_mtod(mbuf, struct rte_ipv4_hdr *));
}

struct rte_mbuf *shim_ipv6_reassemble(struct rte_ip_frag_tbl *table, struct rte_ip_frag_death_row *row, struct rte_mbuf *mbuf,
				      uint64_t now)
{
	struct rte_ipv6_hdr *header = rte_pktmbuf_mtod(mbuf, struct rte_ipv6_hdr *);

	return rte_ipv6_frag_reassemble_packet(table, row, mbuf, now, header, (void *)(header + 1));
}

int shim_eth_link_up(uint16_t port)
{
	struct rte_eth_link link;
	int result = rte_eth_link_get_nowait(port, &link);

	return result < 0 ? result : link.link_status == RTE_ETH_LINK_UP;
}

int shim_errno(void)
{
	return rte_errno;
}

uint32_t shim_lcore_id(void)
{
	return rte_lcore_id();
}

uint64_t shim_rdtsc(void)
{
	return rte_rdtsc();
}
