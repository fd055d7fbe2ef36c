package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// attention writes the routines over strips of the attention tiles.
func attention() {
	for _, v := range vectors {
		v.attnSoftmax()
		v.attnProbabilities()
		v.attnSoftmaxBackward()
		v.attnTanh()
		v.attnTanhBackward()
		v.attnScaleRows()
		v.copyRows()
		v.dotRows()
		v.rotateHalf()
	}
}

func addPS(a, b, dst Op) { VADDPS(a, b, dst) }
func maxPS(a, b, dst Op) { VMAXPS(a, b, dst) }

// The constants of package kernel.
const (
	attnStrip = 8
	attnLd    = 256 + 16
)

// strip is a walk over the rows of strips that begin at the same column of
// their tiles.
type strip struct {
	vector
	rows   []Register // where the row of each strip begins
	bytes  Register   // of a row
	end    Register   // the number of rows
	row    Register   // counts them
	column Register   // counts the bytes of a row
}

func (v vector) strip(names ...string) strip {
	s := strip{vector: v, bytes: GP64(), end: Load(Param("rows"), GP64()), row: GP64(), column: GP64()}
	for _, name := range names {
		s.rows = append(s.rows, Load(Param(name).Base(), GP64()))
	}
	Load(Param("n"), s.bytes)
	SHLQ(U8(2), s.bytes)
	return s
}

// each writes the loop over the rows; body writes the work on one.
func (s strip) each(label string, body func()) {
	XORQ(s.row, s.row)
	Label(label)
	body()
	for _, row := range s.rows {
		ADDQ(U32(4*attnLd), row)
	}
	INCQ(s.row)
	CMPQ(s.row, s.end)
	JNE(LabelRef(label))
}

// again returns to the first row.
func (s strip) again(names ...string) {
	for i, name := range names {
		Load(Param(name).Base(), s.rows[i])
	}
}

// columns writes the loop over the vectors of a row; body gets the addresses
// of the vector in each strip.
func (s strip) columns(label string, body func(x []Mem)) {
	var x []Mem
	for _, row := range s.rows {
		x = append(x, Mem{Base: row, Index: s.column, Scale: 1})
	}
	XORQ(s.column, s.column)
	Label(label)
	body(x)
	ADDQ(U32(s.width()), s.column)
	CMPQ(s.column, s.bytes)
	JNE(LabelRef(label))
}

// perRow returns the address of the current row's element of a slice that has
// one a row.
func (s strip) perRow(slice Register) Mem { return Mem{Base: slice, Index: s.row, Scale: 4} }

func (v vector) attnSoftmax() {
	v.routine("attnSoftmax", "(x []float32, rows, n int, factor float32, m, l, fall []float32)")
	s := v.strip("x")
	m, l, fall := Load(Param("m").Base(), GP64()), Load(Param("l").Base(), GP64()), Load(Param("fall").Base(), GP64())
	factor := v.broadcast("factor")

	s.each("maximum", func() { // to fall
		top := v.reg()
		VBROADCASTSS(s.perRow(m), top)
		s.columns("maximumColumn", func(x []Mem) {
			y := v.reg()
			VMULPS(x[0], factor, y)
			VMAXPS(top, y, top)
		})
		VMOVSS(v.fold(top, maxPS), s.perRow(fall))
	})
	s.again("x")

	e := v.exponential()
	v.eightRows(func(load func(Register) VecVirtual, store func(VecVirtual, Register)) {
		top, ratio, sum := load(fall), load(m), load(l)
		VSUBPS(top, ratio, ratio)
		e.of(ratio)
		VMULPS(ratio, sum, sum)
		store(top, m)
		store(ratio, fall)
		store(sum, l)
	})

	s.each("exponential", func() {
		top, sum := v.reg(), v.zero()
		VBROADCASTSS(s.perRow(m), top)
		s.columns("exponentialColumn", func(x []Mem) {
			y := v.reg()
			VMOVUPS(x[0], y)
			VFMSUB213PS(top, factor, y)
			e.of(y)
			VMOVUPS(y, x[0])
			VADDPS(y, sum, sum)
		})
		total := v.fold(sum, addPS)
		VADDSS(s.perRow(l), total, total)
		VMOVSS(total, s.perRow(l))
	})
	v.end()
}

// eightRows gives body what loads and stores the elements that a strip has in
// slices with one a row: a vector of AVX2, half a vector of AVX-512.
func (v vector) eightRows(body func(load func(Register) VecVirtual, store func(VecVirtual, Register))) {
	if !v.avx512() {
		body(func(from Register) VecVirtual {
			x := v.reg()
			VMOVUPS(Mem{Base: from}, x)
			return x
		}, func(x VecVirtual, to Register) { VMOVUPS(x, Mem{Base: to}) })
		return
	}
	bits, half := GP32(), K()
	MOVL(U32(1<<attnStrip-1), bits)
	KMOVW(bits, half)
	body(func(from Register) VecVirtual {
		x := v.reg()
		VMOVUPS_Z(Mem{Base: from}, half, x)
		return x
	}, func(x VecVirtual, to Register) { VMOVUPS(x, half, Mem{Base: to}) })
}

func (v vector) attnProbabilities() {
	v.routine("attnProbabilities", "(x []float32, rows, n int, factor float32, lse []float32)")
	s := v.strip("x")
	lse := Load(Param("lse").Base(), GP64())
	factor, e := v.broadcast("factor"), v.exponential()
	s.each("row", func() {
		shift := v.reg()
		VBROADCASTSS(s.perRow(lse), shift)
		s.columns("column", func(x []Mem) {
			y := v.reg()
			VMOVUPS(x[0], y)
			VFMSUB213PS(shift, factor, y)
			e.of(y)
			VMOVUPS(y, x[0])
		})
	})
	v.end()
}

func (v vector) attnSoftmaxBackward() {
	v.routine("attnSoftmaxBackward", "(dp, p []float32, rows, n int, delta []float32, scale float32)")
	s := v.strip("dp", "p")
	delta := Load(Param("delta").Base(), GP64())
	scale := v.broadcast("scale")
	s.each("row", func() {
		shift := v.reg()
		VBROADCASTSS(s.perRow(delta), shift)
		s.columns("column", func(x []Mem) {
			y := v.reg()
			VMOVUPS(x[0], y)
			VSUBPS(shift, y, y)
			VMULPS(x[1], y, y)
			VMULPS(scale, y, y)
			VMOVUPS(y, x[0])
		})
	})
	v.end()
}

// attnTanh computes 1 - 2/(e^2x + 1): its error is absolute, not relative.
func (v vector) attnTanh() {
	v.routine("attnTanh", "(x []float32, rows, n int, factor float32)")
	s := v.strip("x")
	factor, e := v.broadcast("factor"), v.exponential()
	one, two := v.inRegister(1), v.inRegister(2)
	VADDPS(factor, factor, factor)
	s.each("row", func() {
		s.columns("column", func(x []Mem) {
			y := v.reg()
			VMULPS(x[0], factor, y)
			e.of(y)
			VADDPS(one, y, y)
			VDIVPS(y, two, y)
			VSUBPS(y, one, y)
			VMOVUPS(y, x[0])
		})
	})
	v.end()
}

func (v vector) attnTanhBackward() {
	v.routine("attnTanhBackward", "(dx, t []float32, rows, n int)")
	s := v.strip("dx", "t")
	one := v.inRegister(1)
	s.each("row", func() {
		s.columns("column", func(x []Mem) {
			y := v.reg()
			VMOVUPS(x[1], y)
			VFNMADD213PS(one, y, y)
			VMULPS(x[0], y, y)
			VMOVUPS(y, x[0])
		})
	})
	v.end()
}

func (v vector) attnScaleRows() {
	v.routine("attnScaleRows", "(x []float32, rows, n int, scale []float32)")
	s := v.strip("x")
	scale := Load(Param("scale").Base(), GP64())
	s.each("row", func() {
		factor := v.reg()
		VBROADCASTSS(s.perRow(scale), factor)
		s.columns("column", func(x []Mem) {
			y := v.reg()
			VMULPS(x[0], factor, y)
			VMOVUPS(y, x[0])
		})
	})
	v.end()
}
