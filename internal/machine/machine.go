package machine

import "github.com/gorget/gorget/internal/kernel"

// Work is cut into pieces of this size, for the same reasons as in kernel: the
// workers must share it evenly, and assembly must yield to the scheduler soon.
const (
	burstTasks = 128
	burstLoops = 8192
	copyGrain  = 1 << 16 // floats
)

// Burst does float32 multiply-adds from registers on every worker, some
// milliseconds long, and returns how many floating-point operations they were
// (a multiply-add is two). It returns 0 where there is no assembly for it.
func Burst() float64 {
	fma, lanes := fmaProbe()
	if fma == nil {
		return 0
	}
	kernel.Parallel(burstTasks, func(int) { fma(burstLoops) })
	return 2 * float64(burstTasks) * burstLoops * probeChains * float64(lanes)
}

// Copy copies src to dst, which is as long, by Go's copy on every worker.
func Copy(dst, src []float32) {
	kernel.ParallelRange(len(src), copyGrain, func(lo, hi int) { copy(dst[lo:hi], src[lo:hi]) })
}

// StreamCopy is Copy with non-temporal stores: memory is written without having
// been read, the least traffic that a copy can do. It returns false, and copies
// nothing, where there is no assembly for it or dst is not aligned to 64 bytes
// (allocations of this size are).
func StreamCopy(dst, src []float32) bool {
	stream := streamProbe()
	if stream == nil || !aligned(dst) {
		return false
	}
	kernel.ParallelRange(len(src), copyGrain, func(lo, hi int) {
		whole := lo + (hi-lo)/64*64
		if whole > lo {
			stream(&dst[lo], &src[lo], whole-lo)
		}
		copy(dst[whole:hi], src[whole:hi])
	})
	return true
}
