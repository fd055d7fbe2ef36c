package kernel

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// withProcs runs f under the given GOMAXPROCS.
func withProcs(procs int, f func()) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
	f()
}

func TestParallelRunsEachTaskOnce(t *testing.T) {
	for _, procs := range []int{1, 2, 3, 8} {
		withProcs(procs, func() {
			for _, n := range []int{-1, 0, 1, 2, 7, 1000} {
				counts := make([]atomic.Int32, max(n, 0))
				Parallel(n, func(i int) { counts[i].Add(1) })
				for i := range counts {
					require.EqualValues(t, 1, counts[i].Load(), "procs %d, n %d, task %d", procs, n, i)
				}
			}
		})
	}
}

func TestParallelRangeCoversWithoutOverlap(t *testing.T) {
	for _, n := range []int{0, 1, 5, 6, 7, 100} {
		for _, grain := range []int{1, 3, 6, 200} {
			covered := make([]atomic.Int32, n)
			ParallelRange(n, grain, func(lo, hi int) {
				assert.Zero(t, lo%grain)
				assert.True(t, hi-lo == grain || hi == n)
				for i := lo; i < hi; i++ {
					covered[i].Add(1)
				}
			})
			for i := range covered {
				require.EqualValues(t, 1, covered[i].Load(), "n %d, grain %d, i %d", n, grain, i)
			}
		}
	}
	assert.Panics(t, func() { ParallelRange(3, 0, func(lo, hi int) {}) })
}

func TestParallelNested(t *testing.T) {
	withProcs(4, func() {
		var count atomic.Int32
		Parallel(8, func(int) {
			Parallel(8, func(int) {
				Parallel(8, func(int) { count.Add(1) })
			})
		})
		assert.EqualValues(t, 512, count.Load())
	})
}

func TestParallelFromManyGoroutines(t *testing.T) {
	withProcs(4, func() {
		var count atomic.Int32
		var callers sync.WaitGroup
		for range 16 {
			callers.Add(1)
			go func() {
				defer callers.Done()
				for range 50 {
					Parallel(10, func(int) { count.Add(1) })
				}
			}()
		}
		callers.Wait()
		assert.EqualValues(t, 16*50*10, count.Load())
	})
}

func TestParallelRaisesThePanicOnTheCaller(t *testing.T) {
	broken := errors.New("broken")
	for _, procs := range []int{1, 4} {
		withProcs(procs, func() {
			var running atomic.Int32
			for range 20 {
				assert.PanicsWithValue(t, broken, func() {
					Parallel(16, func(i int) {
						running.Add(1)
						defer running.Add(-1)
						if i == 3 {
							panic(broken)
						}
						time.Sleep(10 * time.Microsecond)
					})
				})
				assert.Zero(t, running.Load(), "a task outlived the call")
			}
			var count atomic.Int32
			Parallel(16, func(int) { count.Add(1) })
			assert.EqualValues(t, 16, count.Load(), "the pool works after a panic")
		})
	}
}

func TestParallelKeepsItsGoroutines(t *testing.T) {
	withProcs(4, func() {
		Parallel(8, func(int) {})
		before := runtime.NumGoroutine()
		for range 1000 {
			Parallel(8, func(int) {})
		}
		assert.LessOrEqual(t, runtime.NumGoroutine(), before)
	})
}

// A worker parks when there is nothing to do and wakes for the next job.
func TestParallelAfterIdling(t *testing.T) {
	withProcs(2, func() {
		for range 20 {
			time.Sleep(2 * time.Millisecond)
			var both sync.WaitGroup
			both.Add(2) // each task waits for the other: two goroutines must run
			Parallel(2, func(int) {
				both.Done()
				both.Wait()
			})
		}
	})
}

func TestParallelAllocatesNothing(t *testing.T) {
	withProcs(2, func() {
		f := func(int) {}
		Parallel(4, f)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 1000 {
			Parallel(4, f)
		}
		runtime.ReadMemStats(&after)
		assert.Less(t, after.Mallocs-before.Mallocs, uint64(100), "in 1000 calls")
	})
}
