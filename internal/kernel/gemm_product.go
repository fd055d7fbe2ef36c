package kernel

import "unsafe"

// product is one call of Gemm, cut into blocks. Every cut depends on the shape
// and the tiling alone.
//
// A super-block of A, (rows,depth), is packed once, by all workers, into a
// buffer that all read. Then each task computes a block of C: it packs the
// columns of B that it needs, one block of K at a time, into a buffer of its
// own that stays in cache, and runs the tile kernel over both.
type product[T Float] struct {
	*tiling[T]
	m, n, k    int
	alpha      T
	a, b       operand[T]
	c          []T
	ldc        int
	accumulate bool

	kd               int  // depth of a block of K
	directA, directB bool // read in place, not packed

	// The super-block.
	i0, rows  int
	k0, depth int
	panelsA   int // of at most tiling.rows rows each, as equal as possible
	panelsB   int // of tiling.cols columns each, the last one narrower
	taskA     int // panels of A per task
	taskB     int // panels of B per task
	packedA   []T
	packedB   []T // all of B, if several tasks need the same columns
}

const (
	// superBlock bounds the elements of A, and of B, packed at a time.
	superBlock = 4 << 20
	// wantTasks is the number of tasks to cut a super-block into: enough to
	// keep many workers equally busy, few enough that packing B pays.
	wantTasks = 16
	// taskWork is the number of multiplications that a task should have.
	taskWork = 1 << 19
)

func (p product[T]) run(parallel bool) {
	p.kd = evenPart(p.k, p.kc, 8)
	p.panelsB = ceilDiv(p.n, p.cols)
	p.chooseDirect()
	// What is packed at a time of A, (rows,depth), and of B if tasks share it.
	widest := max(min(p.m, 512), min(p.n, wantTasks*p.nc))
	depth := min(p.k, p.kd*max(1, superBlock/(p.kd*widest)))
	rows := max(superBlock/depth/p.tiling.rows, 1) * p.tiling.rows

	for k0 := 0; k0 < p.k; k0 += depth {
		for i0 := 0; i0 < p.m; i0 += rows {
			p.i0, p.rows = i0, min(rows, p.m-i0)
			p.k0, p.depth = k0, min(depth, p.k-k0)
			p.runSuperBlock(parallel)
		}
	}
}

// chooseDirect decides which operands need not be packed. Packing costs a few
// percent of the time, more where a packed panel is used only a few times. It
// pays for itself where the rows that a tile reads together would push each
// other out of the cache, or need more pages than the TLB holds.
func (p *product[T]) chooseDirect() {
	if !p.unpacked {
		return
	}
	var zero T
	size := int(unsafe.Sizeof(zero))
	fits := p.m*p.k*size <= directBytes && p.a.ld*size%conflictStride != 0
	if p.a.kMajor {
		p.directA = fits || p.panelsB <= 2
	} else {
		p.directA = fits && p.tileRows != nil
	}
	if p.b.kMajor {
		p.directB = p.m <= directRows || p.k*p.n*size <= directBytes/4
	}
}

const (
	directBytes = 2 << 20 // of A: what a second level cache holds, or nearly
	directRows  = 384     // of C: fewer do not repay packing B

	// conflictStride is a distance of rows, in bytes, at which they share one
	// or two sets of a first level cache.
	conflictStride = 2048
)

func (p product[T]) runSuperBlock(parallel bool) {
	p.panelsA = ceilDiv(p.rows, p.tiling.rows)
	p.cutTasks(parallel)
	if !p.directA {
		p.packedA = workspace[T](p.panelsA * p.stride * p.depth)
	}
	if !p.directB && p.taskA < p.panelsA {
		p.packedB = workspace[T](p.panelsB * p.cols * p.depth)
	}
	tasks := ceilDiv(p.panelsA, p.taskA) * ceilDiv(p.panelsB, p.taskB)
	if parallel {
		q := p // only this copy lives on the heap
		Parallel(q.packs(), q.pack)
		Parallel(tasks, q.task)
	} else {
		for i := range p.packs() {
			p.pack(i)
		}
		for i := range tasks {
			p.task(i)
		}
	}
	release(p.packedA)
	release(p.packedB)
}

// cutTasks chooses the block of C that is one task: not much narrower than the
// cache allows, since that is how often each element of A is used once it is
// there; then as high as leaves enough tasks; narrower still only if rows are
// too few for that.
func (p *product[T]) cutTasks(parallel bool) {
	p.taskA = p.panelsA
	p.taskB = min(p.panelsB, p.nc/p.cols)
	if !parallel {
		return
	}
	want := min(wantTasks, 1+p.rows*p.n*p.depth/taskWork)
	p.taskB = min(p.taskB, max(ceilDiv(p.panelsB, want), p.nc/p.cols/2))
	across := ceilDiv(p.panelsB, p.taskB)
	p.taskA = ceilDiv(p.panelsA, ceilDiv(want, across))
	down := ceilDiv(p.panelsA, p.taskA)
	p.taskB = min(p.taskB, ceilDiv(p.panelsB, ceilDiv(want, down)))
}

// packGroup is the number of panels that one packing task packs.
const packGroup = 8

func (p *product[T]) packs() int {
	blocks := ceilDiv(p.depth, p.kd)
	groups := 0
	if p.packedA != nil {
		groups += ceilDiv(p.panelsA, packGroup)
	}
	if p.packedB != nil {
		groups += ceilDiv(p.panelsB, packGroup)
	}
	return groups * blocks
}

// pack packs a few panels of A, or of B, over one block of K.
func (p *product[T]) pack(i int) {
	blocks := ceilDiv(p.depth, p.kd)
	k := i % blocks * p.kd
	depth := min(p.kd, p.depth-k)
	first := i / blocks * packGroup
	if p.packedA != nil {
		if first < p.panelsA {
			last := min(first+packGroup, p.panelsA)
			p.packRows(p.packedA[p.stride*(p.panelsA*k+first*depth):], first, last, p.k0+k, depth)
			return
		}
		first -= ceilDiv(p.panelsA, packGroup) * packGroup
	}
	last := min(first+packGroup, p.panelsB)
	p.packColumns(p.packedB[p.cols*(p.panelsB*k+first*depth):], first, last, p.k0+k, depth)
}

// packRows packs the panels first..last-1 of A.
func (p *product[T]) packRows(dst []T, first, last, k0, depth int) {
	step := p.a.packStep(depth)
	for k := 0; k < depth; k += step {
		for panel := first; panel < last; panel++ {
			lo, hi := p.rowsOf(panel)
			p.packPanel(dst[p.stride*((panel-first)*depth+k):], p.stride, p.a, p.i0+lo, hi-lo, k0+k, min(step, depth-k))
		}
	}
}

// packColumns packs the panels first..last-1 of B.
func (p *product[T]) packColumns(dst []T, first, last, k0, depth int) {
	step := p.b.packStep(depth)
	for k := 0; k < depth; k += step {
		for panel := first; panel < last; panel++ {
			x := panel * p.cols
			p.packPanel(dst[p.cols*((panel-first)*depth+k):], p.cols, p.b, x, min(p.cols, p.n-x), k0+k, min(step, depth-k))
		}
	}
}

// rowsOf returns the rows of a panel of A within the super-block.
func (p *product[T]) rowsOf(panel int) (lo, hi int) {
	return panel * p.rows / p.panelsA, (panel + 1) * p.rows / p.panelsA
}

// task computes one block of C.
func (p *product[T]) task(i int) {
	across := ceilDiv(p.panelsB, p.taskB)
	a0, b0 := i/across*p.taskA, i%across*p.taskB
	a1, b1 := min(a0+p.taskA, p.panelsA), min(b0+p.taskB, p.panelsB)

	var own []T
	if p.packedB == nil && !p.directB {
		own = workspace[T]((b1 - b0) * p.cols * p.kd)
		defer release(own)
	}
	for k := 0; k < p.depth; k += p.kd {
		depth := min(p.kd, p.depth-k)
		b := own
		if own != nil {
			p.packColumns(own, b0, b1, p.k0+k, depth)
		} else if p.packedB != nil {
			b = p.packedB[p.cols*(p.panelsB*k+b0*depth):]
		}
		step := max(p.mc/p.tiling.rows, 1)
		for a := a0; a < a1; a += step {
			p.block(a, min(a+step, a1), b0, b1, k, depth, b)
		}
	}
}

// block runs the tile kernel over panels a0..a1-1 of A and b0..b1-1 of B.
func (p *product[T]) block(a0, a1, b0, b1, k, depth int, packedB []T) {
	accumulate := p.accumulate || p.k0+k > 0
	tile := p.tile
	if p.directA && !p.a.kMajor {
		tile = p.tileRows
	}
	for panelB := b0; panelB < b1; panelB++ {
		x0 := panelB * p.cols
		n := min(p.cols, p.n-x0)
		b, ldb := packedB, p.cols
		if p.directB {
			b, ldb = p.b.at(x0, p.k0+k), p.b.ld
		} else {
			packedB = packedB[p.cols*depth:]
		}
		for panelA := a0; panelA < a1; panelA++ {
			r0, r1 := p.rowsOf(panelA)
			var a []T
			lda := p.stride
			if p.directA {
				a, lda = p.a.at(p.i0+r0, p.k0+k), p.a.ld
			} else {
				a = p.packedA[p.stride*(p.panelsA*k+panelA*depth):]
			}
			c := p.c[(p.i0+r0)*p.ldc+x0:]
			tile(r1-r0, n, depth, p.alpha, a, lda, b, ldb, c, p.ldc, accumulate)
		}
	}
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// evenPart cuts n into the fewest parts of at most limit and returns their
// length, a multiple of unit (the last part may be shorter).
func evenPart(n, limit, unit int) int {
	return ceilDiv(ceilDiv(n, ceilDiv(n, limit)), unit) * unit
}
