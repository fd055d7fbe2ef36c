package kernel

import (
	"runtime"
	"sync/atomic"
)

// Parallel calls f(0), ..., f(n-1), once each, on the process's worker pool,
// and returns when all calls have returned. The caller works too.
//
// Which goroutine runs which task is not defined: f must give the same result
// in any order. A call made while the pool is busy - from inside a task, or
// from another goroutine - runs its tasks inline, so nothing ever waits for a
// worker while holding one. If a task panics, the tasks that have not begun
// are dropped and the panic is raised again on the caller, after those that
// have begun have ended.
func Parallel(n int, f func(i int)) {
	helpers := min(n, runtime.GOMAXPROCS(0)) - 1
	if helpers <= 0 || !pool.busy.CompareAndSwap(false, true) {
		for i := 0; i < n; i++ {
			f(i)
		}
		return
	}
	pool.run(n, helpers, f)
}

// ParallelRange calls f(lo, hi) for consecutive ranges that cover 0 <= i < n,
// each of length grain but for a shorter last one, by Parallel. The cut
// depends on n and grain alone, never on the number of workers.
func ParallelRange(n, grain int, f func(lo, hi int)) {
	if grain <= 0 {
		panic("kernel: ParallelRange: grain must be positive")
	}
	Parallel((n+grain-1)/grain, func(i int) {
		lo := i * grain
		f(lo, min(lo+grain, n))
	})
}

// pool is the one set of workers of the process. It runs one job at a time:
// whoever turns busy from false to true owns every field until turning it back.
var pool workerPool

type workerPool struct {
	busy    atomic.Bool
	workers []*worker // grows to the largest GOMAXPROCS-1 seen, never shrinks

	f       func(i int)
	n       int64
	next    atomic.Int64        // the next task to claim
	failure atomic.Pointer[any] // the first panic's value
	pending atomic.Int32        // helpers that hold, or may yet take, the job
	done    sleeper             // the caller, waiting for pending = 0
}

// worker is one helper goroutine.
type worker struct {
	offered atomic.Bool // set by the caller; whoever clears it decides
	sleeper
}

func (p *workerPool) run(n, helpers int, f func(i int)) {
	for len(p.workers) < helpers {
		w := &worker{sleeper: newSleeper()}
		p.workers = append(p.workers, w)
		go p.serve(w)
	}
	if p.done.wake == nil {
		p.done = newSleeper()
	}
	p.f, p.n = f, int64(n)
	p.next.Store(0)
	p.pending.Store(int32(helpers))
	for _, w := range p.workers[:helpers] {
		w.offered.Store(true)
		w.rouse()
	}

	p.claim()

	// A worker that has not begun by now is not needed: take the offer back
	// rather than wait for the scheduler to run it.
	for _, w := range p.workers[:helpers] {
		if w.offered.CompareAndSwap(true, false) {
			p.pending.Add(-1)
		}
	}
	p.done.sleepUntil(func() bool { return p.pending.Load() == 0 })

	failure := p.failure.Swap(nil)
	p.f = nil // keep nothing of the caller's alive
	p.busy.Store(false)
	if failure != nil {
		panic(*failure)
	}
}

// serve is a worker's life.
func (p *workerPool) serve(w *worker) {
	for {
		w.sleepUntil(w.offered.Load)
		if w.offered.CompareAndSwap(true, false) {
			p.claim()
			if p.pending.Add(-1) == 0 {
				p.done.rouse()
			}
		}
	}
}

// claim runs tasks until none is left, or until one panics.
func (p *workerPool) claim() {
	defer func() {
		if r := recover(); r != nil {
			p.next.Store(p.n) // drop what has not begun
			value := any(r)   // a copy, so that r need not live on the heap
			p.failure.CompareAndSwap(nil, &value)
		}
	}()
	for i := p.next.Add(1) - 1; i < p.n; i = p.next.Add(1) - 1 {
		p.f(int(i))
	}
}

// sleeper lets one goroutine wait for a condition that others make true: it
// spins for a moment, because the next job of a training step is microseconds
// away, and then parks, because an idle process must not burn a core.
type sleeper struct {
	parked *atomic.Bool
	wake   chan struct{}
}

func newSleeper() sleeper {
	return sleeper{parked: new(atomic.Bool), wake: make(chan struct{}, 1)}
}

// Looking is an atomic load; every spinLooks of them the processor is offered
// to other goroutines, and spinRounds of those take some 100 microseconds.
const (
	spinLooks  = 64
	spinRounds = 500
)

// sleepUntil returns when ready() is true.
func (s sleeper) sleepUntil(ready func() bool) {
	for {
		for range spinRounds {
			for range spinLooks {
				if ready() {
					return
				}
			}
			runtime.Gosched()
		}
		s.parked.Store(true)
		if ready() && s.parked.CompareAndSwap(true, false) {
			return
		}
		<-s.wake // may be a late rouse for an earlier condition: look again
	}
}

// rouse is called after making the condition true. Exactly one of sleepUntil
// and rouse clears parked, so the channel holds at most one token.
func (s sleeper) rouse() {
	if s.parked.CompareAndSwap(true, false) {
		s.wake <- struct{}{}
	}
}
