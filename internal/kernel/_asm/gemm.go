package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func gemm() {
	for _, t := range []target{singles.avx512(), singles.avx2(), doubles.avx512(), doubles.avx2()} {
		rows := 6
		if t.suffix == "AVX512" {
			rows = 14
		}
		gemmTile{target: t, rows: rows}.write()
		if t.size == 4 {
			gemmTile{target: t, rows: rows, rowMajor: true}.write()
		}
		packCopy(t)
		packTranspose(t)
	}
}

// gemmTile writes the micro-kernel of the matrix product: a tile of C, rows by
// two vectors, is kept in registers while k advances. It is
//
//	C[i*ldc+j] = alpha sum_k A[i,k] B[k*ldb+j]  (+ C[i*ldc+j] if accumulate)
//
// with A[i,k] = a[k*lda+i], or a[i*lda+k] if rowMajor. It reads and writes
// nothing else, whatever m and n are.
//
// Registers: two vectors of B, two to broadcast A into by turns, and the rest
// accumulators: 2*14 of 32, 2*6 of 16.
type gemmTile struct {
	target
	rowMajor bool
	rows     int
}

const (
	inputA0, inputA1 = 0, 1 // vectors that hold an element of A in all lanes
	inputB           = 2    // and the next one
	firstSum         = 4
)

// General registers. A row-major A needs a pointer for every three rows: with
// a scaled index one pointer reaches rows 0, 1 and 2 from it.
var (
	ptrA      = []GPPhysical{RAX, RBX, RDX, RSI, RDI}
	lda       = R8
	ptrB, ldb = R9, R10
	count     = R11
	ptrC, ldc = RAX, RBX // after the loop, when A is no longer needed
	scratch   = R12      // R13 and RCX belong to the mask
)

// columns is how much of the two vectors of a tile is in use.
type columns struct {
	name    string
	vectors int
	mask    *maskedLanes // of the last vector; nil if all of it is used
}

func (g gemmTile) write() {
	name := g.prefix + "gemmTile"
	layout := "k*lda+i"
	if g.rowMajor {
		name += "Rows"
		layout = "i*lda+k"
	}
	name += g.suffix
	TEXT(name, NOSPLIT, fmt.Sprintf("func(m, n, k int, alpha %[1]s, a []%[1]s, lda int, b []%[1]s, ldb int, c []%[1]s, ldc int, accumulate bool)", g.typ))
	Doc(fmt.Sprintf("%s adds a tile of at most %d rows and %d columns, with A at a[%s]; see tiling.tile.", name, g.rows, 2*g.lanes, layout))
	Pragma("noescape")

	Load(Param("n"), scratch)
	CMPQ(scratch, U32(2*g.lanes))
	JEQ(LabelRef("full"))
	CMPQ(scratch, U32(g.lanes))
	JLE(LabelRef("one"))

	SUBQ(U32(g.lanes), scratch)
	mask := g.lanesBelow(scratch, K1)
	g.byRows(columns{"two", 2, &mask})

	Label("one")
	mask = g.lanesBelow(scratch, K1)
	g.byRows(columns{"one", 1, &mask})

	Label("full")
	g.byRows(columns{"full", 2, nil})
}

// byRows branches to the loop for the number of rows.
func (g gemmTile) byRows(cols columns) {
	Load(Param("m"), scratch)
	for rows := g.rows; rows > 1; rows-- {
		CMPQ(scratch, U32(rows))
		JEQ(LabelRef(fmt.Sprintf("%s%d", cols.name, rows)))
	}
	for rows := 1; rows <= g.rows; rows++ {
		if rows > 1 {
			Label(fmt.Sprintf("%s%d", cols.name, rows))
		}
		g.loop(rows, cols)
		g.finish(rows, cols)
		VZEROUPPER()
		RET()
	}
}

// sum returns the accumulator of row i, vector j.
func (g gemmTile) sum(i, j int) VecPhysical { return g.vec[firstSum+2*i+j] }

// loop accumulates over k.
func (g gemmTile) loop(rows int, cols columns) {
	label := func(s string) string { return fmt.Sprintf("%s%d%s", cols.name, rows, s) }
	Load(Param("c").Base(), ptrC)
	g.loadStride("ldc", ldc)
	for i := range rows { // the tile of C, while the loop runs
		PREFETCHT0(Mem{Base: ptrC})
		if cols.vectors == 2 && g.width() == 64 {
			PREFETCHT0(Mem{Base: ptrC, Disp: 64})
		}
		if i < rows-1 {
			ADDQ(ldc, ptrC)
		}
	}

	Load(Param("k"), count)
	Load(Param("a").Base(), ptrA[0])
	g.loadStride("lda", lda)
	Load(Param("b").Base(), ptrB)
	g.loadStride("ldb", ldb)
	if g.rowMajor {
		for i := 3; i < rows; i += 3 { // three rows further each
			LEAQ(Mem{Base: ptrA[i/3-1], Index: lda, Scale: 2}, ptrA[i/3])
			ADDQ(lda, ptrA[i/3])
		}
	}
	for i := range rows {
		for j := range cols.vectors {
			VXORPS(g.sum(i, j), g.sum(i, j), g.sum(i, j))
		}
	}

	const unroll = 2
	if cols.mask == nil {
		SUBQ(U32(unroll), count)
		JLT(LabelRef(label("rest")))
		Label(label("loop"))
		for u := range unroll {
			g.step(rows, cols, u)
		}
		g.advanceA(rows, unroll)
		SUBQ(U32(unroll), count)
		JGE(LabelRef(label("loop")))
		Label(label("rest"))
		ADDQ(U32(unroll), count)
		JEQ(LabelRef(label("end")))
	}
	Label(label("next"))
	g.step(rows, cols, 0)
	g.advanceA(rows, 1)
	DECQ(count)
	JNE(LabelRef(label("next")))
	Label(label("end"))
}

// step adds the products of one k, the u-th since A last advanced.
func (g gemmTile) step(rows int, cols columns, u int) {
	for j := range cols.vectors {
		from := Mem{Base: ptrB, Disp: j * g.width()}
		if cols.mask != nil && j == cols.vectors-1 {
			cols.mask.load(from, g.vec[inputB+j])
		} else {
			g.mov(from, g.vec[inputB+j])
		}
	}
	if cols.mask == nil { // eight steps ahead
		PREFETCHT0(Mem{Base: ptrB, Index: ldb, Scale: 8})
		if 2*g.width() > 64 {
			PREFETCHT0(Mem{Base: ptrB, Index: ldb, Scale: 8, Disp: 64})
		}
		if !g.rowMajor {
			PREFETCHT0(Mem{Base: ptrA[0], Index: lda, Scale: 8})
		}
	}
	ADDQ(ldb, ptrB)
	for i := range rows {
		from := Mem{Base: ptrA[0], Disp: i * g.size}
		if g.rowMajor {
			from = Mem{Base: ptrA[i/3], Disp: u * g.size}
			if i%3 > 0 {
				from.Index, from.Scale = lda, uint8(i%3)
			}
		}
		x := g.vec[inputA0+i%2*(inputA1-inputA0)]
		g.bcast(from, x)
		for j := range cols.vectors {
			g.fma(x, g.vec[inputB+j], g.sum(i, j))
		}
	}
	if !g.rowMajor {
		ADDQ(lda, ptrA[0])
	}
}

// advanceA moves a row-major A on by some k.
func (g gemmTile) advanceA(rows, steps int) {
	if !g.rowMajor {
		return
	}
	for i := 0; i < rows; i += 3 {
		ADDQ(U32(steps*g.size), ptrA[i/3])
	}
}

// finish multiplies by alpha and stores, or adds, to C.
func (g gemmTile) finish(rows int, cols columns) {
	alpha, old, free := g.vec[0], g.vec[1], g.vec[2]
	add := fmt.Sprintf("%s%dadd", cols.name, rows)

	address, err := Param("alpha").Resolve()
	if err != nil {
		panic(err)
	}
	g.bcast(address.Addr, alpha)
	Load(Param("c").Base(), ptrC)
	g.loadStride("ldc", ldc)
	Load(Param("accumulate"), R12B)
	TESTB(R12B, R12B)
	JNE(LabelRef(add))

	for _, accumulate := range []bool{false, true} {
		if accumulate {
			Label(add)
		}
		for i := range rows {
			for j := range cols.vectors {
				sum, to := g.sum(i, j), Mem{Base: ptrC, Disp: j * g.width()}
				masked := cols.mask != nil && j == cols.vectors-1
				switch {
				case !accumulate:
					g.mul(alpha, sum, sum)
				case masked:
					cols.mask.load(to, old)
					g.axpy(old, alpha, sum)
				default:
					g.axpy(to, alpha, sum)
				}
				if masked {
					cols.mask.store(sum, to, free)
				} else {
					g.mov(sum, to)
				}
			}
			if i < rows-1 {
				ADDQ(ldc, ptrC)
			}
		}
		if !accumulate {
			VZEROUPPER()
			RET()
		}
	}
}

func log2(size int) uint8 {
	if size == 4 {
		return 2
	}
	return 3
}
