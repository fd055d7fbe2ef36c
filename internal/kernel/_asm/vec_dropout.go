package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The multipliers and key increments of Philox4x32.
const (
	philoxM0, philoxM1 = 0xD2511F53, 0xCD9E8D57
	philoxW0, philoxW1 = 0x9E3779B9, 0xBB67AE85
)

// Elements and Philox blocks of a group of the dropout mask.
const (
	dropoutGroup = 64
	dropoutLanes = 16
)

// dropout writes y = f x for slices of whole groups, f the factors of the mask.
func (v vector) dropout() {
	v.routine("dropout", "(y, x []float32, d *uint32, block uint64)")
	y, x := Load(Param("y").Base(), GP64()), Load(Param("x").Base(), GP64())
	left := Load(Param("y").Len(), GP64())
	d, block := Load(Param("d"), GP64()), Load(Param("block"), GP64())
	random := v.philox(d)
	scale := v.reg()
	VBROADCASTSS(Mem{Base: d, Disp: 20}, scale)

	SUBQ(U32(dropoutGroup), left)
	JLT(LabelRef("done"))
	Label("group")
	for first := 0; first < dropoutLanes; first += v.lanes {
		words, threshold := random.words(block, first), random.word(4)
		for w, word := range words {
			at := 4 * (w*dropoutLanes + first)
			factor := v.where(word, threshold, scale)
			VMULPS(Mem{Base: x, Disp: at}, factor, factor)
			VMOVUPS(factor, Mem{Base: y, Disp: at})
		}
	}
	ADDQ(U32(4*dropoutGroup), y)
	ADDQ(U32(4*dropoutGroup), x)
	ADDQ(U32(dropoutLanes), block)
	SUBQ(U32(dropoutGroup), left)
	JGE(LabelRef("group"))
	Label("done")
	v.end()
}

// where returns scale in the lanes with word >= threshold, unsigned, else 0.
func (v vector) where(word, threshold, scale VecVirtual) VecVirtual {
	factor := v.reg()
	if v.avx512() {
		const notLess = 5
		kept := K()
		VPCMPUD(U8(notLess), threshold, word, kept)
		VMOVAPS_Z(scale, kept, factor)
		return factor
	}
	VPMAXUD(threshold, word, factor)
	VPCMPEQD(factor, word, factor)
	VANDPS(scale, factor, factor)
	return factor
}

// philox writes the generator, a block in the low half of each 64-bit lane,
// where the multiplication reads its operands; what is left in the high half
// does no harm. Blocks with even and odd index are in two sets, which are
// interleaved in the end.
type philox struct {
	vector
	seed       Register // address of key and counter
	m0, m1     Op
	w0, w1     Op
	evenBlocks Mem
	oddLanes   Register // AVX-512
}

func (v vector) philox(seed Register) philox {
	p := philox{
		vector: v, seed: seed,
		m0: v.bits(philoxM0), m1: v.bits(philoxM1), w0: v.bits(philoxW0), w1: v.bits(philoxW1),
		evenBlocks: evenNumbers(),
	}
	if v.avx512() {
		p.oddLanes = K()
		bits := GP32()
		MOVL(U32(0xaaaa), bits)
		KMOVW(bits, p.oddLanes)
	}
	return p
}

// words returns the words 0 to 3 of as many blocks as there are lanes, from
// block+first on.
func (p philox) words(block Register, first int) [4]VecVirtual {
	key := [2]VecVirtual{p.word(0), p.word(1)}
	var sets [2][4]VecVirtual
	for odd := range sets {
		number, c0, c1 := GP64(), p.reg(), p.reg()
		LEAQ(Mem{Base: block, Disp: first + odd}, number)
		VMOVQ(number, c0.AsX())
		VPBROADCASTQ(c0.AsX(), c0)
		VPADDQ(p.evenBlocks, c0, c0)
		VPSRLQ(U8(32), c0, c1)
		sets[odd] = [4]VecVirtual{c0, c1, p.word(2), p.word(3)}
	}
	for round := range 10 {
		if round > 0 {
			VPADDD(p.w0, key[0], key[0])
			VPADDD(p.w1, key[1], key[1])
		}
		for i, c := range sets {
			product0, product1 := p.reg(), p.reg()
			VPMULUDQ(p.m0, c[0], product0)
			VPMULUDQ(p.m1, c[2], product1)
			VPSRLQ(U8(32), product1, c[0])
			p.xor3(c[1], key[0], c[0])
			VPSRLQ(U8(32), product0, c[2])
			p.xor3(c[3], key[1], c[2])
			sets[i] = [4]VecVirtual{c[0], product1, c[2], product0}
		}
	}
	even, odd := sets[0], sets[1]
	for w := range even {
		if p.avx512() {
			VMOVSLDUP(odd[w], p.oddLanes, even[w])
		} else {
			VMOVSLDUP(odd[w], odd[w])
			VBLENDPS(U8(0b10101010), odd[w], even[w], even[w])
		}
	}
	return even
}

// word returns a register with the i-th 32-bit word of the seed in all lanes.
func (p philox) word(i int) VecVirtual {
	r := p.reg()
	VPBROADCASTD(Mem{Base: p.seed, Disp: 4 * i}, r)
	return r
}

// xor3 sets x to a ^ b ^ x.
func (p philox) xor3(a, b, x VecVirtual) {
	if p.avx512() {
		VPTERNLOGD(U8(0b10010110), a, b, x)
		return
	}
	VPXOR(a, x, x)
	VPXOR(b, x, x)
}

var even *Mem

// evenNumbers is 0, 2, ..., 14 in 64 bits each.
func evenNumbers() Mem {
	if even == nil {
		m := GLOBL("evenNumbers", RODATA|NOPTR)
		for i := range 8 {
			DATA(8*i, U64(2*i))
		}
		even = &m
	}
	return *even
}
