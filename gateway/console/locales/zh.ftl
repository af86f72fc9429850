nav-find = 查询

sign-in-how = 请使用客服或管理员的 API 密钥登录。密钥不会保存在浏览器中。
sign-in-refused = 该密钥不能用于控制台。请检查密钥是否正确，以及是否为客服或管理员密钥。
signed-in = 您已登录
signed-in-go-on = 继续
openid-refused = 登录验证未通过，请重新登录。
openid-cancelled = 登录已取消。
openid-no-role = 您的账号没有控制台权限，请联系管理员开通。
openid-unavailable = 登录服务无应答，请稍后重试。
openid-misconfigured = 登录配置有误，请联系网关运维，具体原因见日志。

role-support = 客服
role-admin = 管理员

error-already-lifted = 该限制已结束或已被解除
error-bank-node-unreachable = 银行节点无应答，请稍后重试。
error-bank-node-refused = 银行节点拒绝了请求，请联系网关运维。
error-too-many-attempts = 请求次数过多，银行暂时不再受理
error-bank-not-served = 本平台不再支持该银行
error-ledger-unreachable = 暂时无法读取账本，操作未执行，请稍后重试。
error-storage-unavailable = 网关数据库暂时不可用，请稍后重试。

find-title = 查询账户或交易
find-what = 用户号、交易号、绑定号，或账号后四位
find-button = 查询
find-nothing = 没有找到
find-nothing-how = 本网关没有与输入内容相符的用户、交易、绑定或账户，请核对后重试。用户号至少输入前四位，近期交易的交易号也可如此，不区分大小写；较早交易的交易号和绑定号须完整。账号请只输入后四位。如没有交易号，请先查询用户并打开账户，再按时间和金额查找交易。
find-user = 用户 { $user }
find-user-without-accounts = 该用户存在，但目前没有绑定账户。
find-pending = 等待小额打款验证
find-pending-how = 请用户在 { $until } 前输入账户实际收到的金额。
find-refused = 最近 { $minutes } 分钟内，银行拒绝了该用户的 { $count } 次绑定，多因户名、证件、手机号或账号与银行登记的不一致。达到 { $most } 次后将暂停绑定。
find-failed = 最近 30 天绑定未成功的记录
find-begins = 以此开头的编号
find-begins-cut = 还有更多结果，请多输入几位。
failed-number = 银行查无此账户
failed-name = 户名与银行登记的不一致
failed-id_document = 证件与银行登记的不一致
failed-phone = 手机号与银行预留的不一致
failed-holder_kind = 个人或单位与银行登记的不一致
failed-account = 银行目前不允许绑定该账户
failed-amount = 小额打款：金额与实际到账不一致，或已过期
failed-no_tries_left = 次数已用完，须重新发起
failed-already_bound = 已在本平台绑定（本人或其他用户）：点开账号可查看绑定的用户
failed-too_many_attempts = 银行暂不受理更多请求
failed-none = 银行未说明原因
find-ended = 已于 { $at } 解绑
find-digits = 尾号为此四位的账户
find-transaction = 交易

only-oldest = 仅显示最早的 { $shown } 项。
only-first = 仅显示前 { $shown } 项。
not-the-whole-list = 以上并非全部记录。
only-newest = 仅显示最近的 { $shown } 项。

queue-holds = 生效中的风控限制
queue-holds-none = 没有生效中的限制。
queue-reviews = 待人工审核的交易
queue-reviews-none = 没有待人工审核的交易。
queue-reviews-later = 后续交易

hold-until = 至 { $at }
hold-account = 查看账户
hold-lift = 解除限制
rule-BINDING_ATTEMPTS = 绑定次数超限

account-of = 用户 { $user }
account-say = 如何答复用户
account-reason = 原因
account-payments = 可付款
account-withdrawals = 可提现
account-staleness = 银行数据的滞后时间
account-staleness-bound = （上限 { $span }）
account-staleness-then = 截至页面加载时
account-staleness-unknown = 暂时无法读取
account-staleness-none = 尚未发布
account-status = 银行登记的状态
account-identity = 持有人信息与绑定时相比
account-unstated-how = 请转告银行运维：核心系统上送的该账户数据，银行节点无法识别。银行节点控制台的“待修正数据”列有该账户及原因；核心系统重新上送正确数据后自动恢复。
account-bound = 绑定时间
warned = 失败前的预警
warned-chance = 模型判断：此类账户有 { $percent }% 会在七天内出现交易失败。
warned-by-rule = 按规则判断，该账户七天内可能出现交易失败。
warned-came-true = 预警应验：{ $at } 交易失败，原因：{ $reason }。
warned-other = { $at } 有交易失败，但不是预警的原因：{ $reason }。
warned-waiting = 此后尚无交易失败。预警有效至 { $until }。
warned-over = 风险已消除。
account-held = 风控限制

identity-name = 户名
identity-id_document = 证件
identity-phone = 手机号
identity-same = 一致
identity-changed = 不一致

copy-en = 复制英文
copy-zh = 复制中文

health-good = 正常
health-limited = 部分受限
health-blocked = 不可用
health-ended = 已失效
health-unknown = 状态未知

status-active = 正常
status-frozen = 冻结
status-lost = 挂失
status-dormant = 休眠
status-closed = 销户
status-unbound = 已解绑
status-unstated = 状态待确认

limits = 银行限额

limit-transaction = 单笔付款
limit-day = 当日付款累计
limit-month = 当月付款累计
limit-year = 当年付款累计
limit-credit-day = 当日入账累计
limit-credit-year = 当年入账累计
limit-left = 剩余 { $left }，限额 { $cap }
limit-used = 已用 { $percent }%

trail = 最近变更的同步路径
trail-no-bank = 本平台不再支持该银行，无法查询。
trail-change = { $at } 的变更
trail-publication = 第 { $number } 号发布
changed-changed = 状态变更
changed-cleared = 恢复正常
changed-frozen = 冻结
changed-lost = 挂失
changed-closed = 销户
changed-unbound = 解绑
changed-unstated = 状态待确认
changed-limits_changed = 限额变更
changed-identity_changed = 持有人信息变更
changed-unreadable = 无法读取
changed-usable = 可用

hop-waiting = 尚未完成
hop-stalled = 停滞
hop-unknown = 未知
hop-not_applicable = 不适用
hop-done = 已完成，时间未知

act-resync = 请银行重新发布
act-end = 解除绑定，以便重新绑定
account-bank-not-told = 绑定已在本平台解除，但尚未通知银行。通知成功之前，用户无法重新绑定该账户。
act-tell-bank = 通知银行绑定已解除
done-resync-queued = 已提交：银行节点将重新发布账户的当前状态。
done-resync-on-its-way = 最新状态已在提交账本途中，银行节点正在补发。
done-ended = 绑定已解除，用户可以重新绑定该账户。
done-reviewed = 审核已完成。
done-hold-lifted = 限制已解除。
done-replayed = 已提交，通知将重新发送。
act-reason = 操作原因（记入审计）
act-reason-example = 用户来电，工单 4711

decisions = 最近的交易决策
decisions-all = 交易决策
decisions-older = 更早的交易决策
decisions-none-then = 截至该日，该账户没有交易决策。
decisions-up-to = 截至日期（含当日）
decisions-show = 显示
decisions-none = 该账户尚无交易决策。

column-time = 时间
column-transaction = 交易号
column-kind = 类型
column-amount = 金额
column-outcome = 结果
column-reason = 原因

kind-payment = 付款
kind-withdrawal = 提现

outcome-approve = 通过
outcome-decline = 拒绝
outcome-review = 人工审核
after-review = 经人工审核

reservation-reserved = 已预留
reservation-captured = 已扣款
reservation-voided = 已撤销
reservation-expired = 已过期

reason-ledger_unreachable = 账本无法访问
reason-bank_suspended = 银行已被暂停
reason-no_attestation = 银行尚未确认
reason-ledger_rolled_back = 账本数据回退
reason-attestation_unreadable = 银行信息无法读取
reason-bank_silent = 银行长时间未更新
reason-unbound = 已解绑
reason-account_unstated = 银行暂时无法确认账户状态
reason-account_closed = 账户已销户
reason-account_lost = 已挂失
reason-account_frozen = 账户冻结
reason-account_dormant = 账户休眠
reason-debit_not_allowed = 不允许付款
reason-credit_not_allowed = 不允许入账
reason-name_changed = 银行户名已变更
reason-id_document_changed = 银行登记的证件已变更
reason-phone_changed = 银行预留手机号已变更
reason-currency_not_allowed = 币种不符
reason-over_transaction_limit = 超过单笔限额
reason-over_daily_limit = 超过当日限额
reason-over_monthly_limit = 超过当月限额
reason-over_yearly_limit = 超过当年限额
reason-bank_not_served = 不再支持该银行
reason-risk_hold = 风控限制

decision-allowed = 该限额当时的剩余额度
decision-publication = 发布序号 / 区块
decision-iso = ISO 20022
decision-reservation = 额度预留
decision-refunded = 已退款
decision-checks = 十五项检查

check-1 = 账本按时应答
check-2 = 银行未被暂停
check-3 = 存在记录，未回退，且可以解密
check-4 = 银行数据的滞后时间符合该金额的要求
check-5 = 账户已绑定，且银行已确认状态
check-6 = 未销户
check-7 = 未挂失
check-8 = 此类交易未被冻结
check-9 = 未休眠
check-10 = 允许此类交易
check-11 = 持有人与绑定时一致
check-12 = 币种一致
check-13 = 未超过单笔限额
check-14 = 未超过日、月、年限额
check-15 = 未被风控限制
check-passed = 通过
check-failed = 未通过
check-not-reached = 未检查
check-unknown = 未知

evidence = 证据
evidence-verify = 立即验证证据
evidence-download = 下载证据
evidence-ledger-down = 暂时无法读取账本，无法验证证据。请稍后重试。

verdict-holds = 证据有效。
verdict-fails = 证据无效。
verdict-unknown = 部分检查无法完成。

line-holds = 有效
line-fails = 无效
line-unknown = 无法确认
line-1 = 签名
line-2 = 账本
line-3 = 区块
line-4 = 记录
line-5 = 发布
line-6 = 银行签名
line-7 = 哈希链
line-8 = 水位线
line-9 = 授权
line-10 = 证明内容
line-11 = 策略
line-12 = 交易决策
line-13 = 决策依据

cause-bank_word = 决策依据是银行的状态证明。
cause-bank_delay = 银行的状态证明迟到。
cause-bank_broke_its_watermark = 银行违背了其水位线承诺。
cause-bank_silence = 决策依据是银行长时间未更新。
cause-ledger_access_delay = 网关读取了较旧的区块。
cause-guardian_word = 账本守护方已暂停该银行。
cause-platform_word = 决策依据是平台自身的规则。
cause-gateway_word = 决策依据是网关自身的记录。

nav-reconciliation = 对账
nav-webhooks = Webhook 通知
nav-audit = 审计

review-open = 待人工审核
review-how = 人工审核可以解除平台自身的限制，但不能放行银行不允许的交易：通过前会重新读取账本。
review-again = 已告知用户稍后重试。通过之前，请先在账户页面确认用户此后没有再次交易，以免重复扣款。
review-approve = 通过
review-decline = 拒绝
review-closed = 审核结果

error-already-reviewed = 该审核已完成，且结果不同
error-not-in-review = 该交易未转人工审核
error-review-not-approvable = 按银行最新的状态证明，该交易不能通过

audit-what = 客服和管理员通过控制台或 API 执行的操作。查看不作记录。
audit-about = 仅显示针对以下对象的操作
audit-all = 全部操作
audit-of-this = 相关操作记录（审计）
audit-none = 尚无操作记录。
audit-done = 已完成
audit-unknown = 结果未知
audit-refused = 未完成：{ $why }
audit-malformed = 请求格式有误
audit-older = 更早的记录

audited-post_binding = 绑定账户
audited-confirm_binding = 确认小额打款
audited-delete_binding = 解除绑定
audited-rebind = 重新绑定
audited-resync = 请银行重新发布
audited-post_decision = 发起交易决策
audited-post_decisions = 批量发起交易决策
audited-capture = 扣款
audited-void = 撤销预留
audited-refund = 登记退款
audited-close_review = 人工审核
audited-lift_hold = 解除限制
audited-prove_hold = 凭银行状态确认书解除限制
audited-change_identity = 变更用户资料
audited-set_prediction = 变更用户预测设置
audited-export_evidence = 导出证据
audited-export_evidence_with_key = 导出证据及绑定密钥
audited-post_endpoint = 新增回调地址
audited-delete_endpoint = 删除回调地址
audited-rotate_secret = 更换回调密钥
audited-enable_endpoint = 启用回调地址
audited-replay = 补发通知
audited-reload_settings = 重新读取配置
audited-run_scoring = 发起评分

reconciliation-none = 尚未进行过对账。
reconciliation-well = 账本与本网关一致。
reconciliation-drift = 账本与本网关有 { $count } 个绑定不一致。
reconciliation-block-gone = 所读取的区块已不在账本中，请等待下一次对账。
reconciliation-went-back = { $bank }：账本上的水位线早于本网关此前读到的水位线。
reconciliation-ended = 完成时间
reconciliation-took = 用时
reconciliation-checked = 已核对绑定数
reconciliation-dead = 已失效绑定数
reconciliation-block = 所在区块
reconciliation-differ = 不一致的绑定
reconciliation-dead-list = 已失效的绑定

drift-below_floor = 早于决策已用过的记录
drift-not_followed = 尚未跟踪
drift-follower_missed = 跟踪程序遗漏
drift-ledger_went_back = 账本数据回退
drift-terms_differ = 同一发布序号下状态证明不同

webhooks-none = 尚未配置回调地址。
webhooks-off = 已于 { $at } 停用：
webhooks-pending = 待发送
webhooks-delivered = 已送达
webhooks-given-up = 已放弃
webhooks-result = 最近一次应答
webhooks-types = 事件类型
webhooks-all-types = 全部
webhooks-replay = 补发
webhooks-event = 单个事件（填事件编号）
webhooks-after = 或此位置之后的全部事件
webhooks-last = 最近的通知
webhooks-tries = 位置 { $position }，已尝试 { $tries } 次
result-timeout = 超时未应答
result-address_refused = 地址不是公网地址
result-ClientConnectorDNSError = 域名无法解析
result-ClientConnectorError = 无法连接主机
result-ClientConnectorCertificateError = 主机证书无效
result-ClientConnectorSSLError = 主机不支持 TLS
result-ServerDisconnectedError = 主机中断了连接

delivery-pending = 待发送
delivery-delivered = 已送达
delivery-given_up = 已放弃

nav-banks = 银行
nav-today = 今日

bank-suspended = 已暂停
bank-up-to-date = 正常更新
bank-silent = 更新中断
bank-chart = 最长滞后：{ $worst } · 更新中断时段：{ $spans }
bank-chart-from = { $begins } 至 { $ends }
bank-node = 银行节点（本网关启动以来）：请求 { $tries } 次，无应答 { $errors } 次
bank-node-error = 最近一次 { $at }
bank-key-silent = 更新中断
bank-key-bound = 策略上限
bank-key-unseen = 无观测数据

today-title = 最近 24 小时
today-decisions = 交易决策数
today-half = 启动以来耗时中位数
today-most = 启动以来 99 分位耗时
today-refused = 启动以来过载拒绝的请求数
today-chart = 每小时交易决策数
today-reasons = 按结果与原因
today-none = 尚无交易决策。

at-most = 不超过 { $span }

exposure = 使用快照会误判的交易
exposure-how = 决策依据的银行变更，在当时的快照中尚未体现。
exposure-nightly = 每晚快照
exposure-hourly = 每小时快照
exposure-five-minutes = 每五分钟快照
exposure-partly = 数量超出本页统计范围，仅显示最近的部分。
exposure-line = 变更于 { $changed }，决策于 { $decided }

period-day = 一天
period-week = 一周
period-month = 一个月
pace-steady = 稳定
pace-slow = 较慢
pace-unsteady = 不稳定
scorecard-unknown = 跟踪时间太短，暂无结论。
scorecard-median = 滞后中位数
scorecard-p99 = 99% 的时间
scorecard-worst = 最长
scorecard-silent = 累计更新中断
scorecard-ages = 每小时最长滞后
scorecard-ledger = 账本记录
scorecard-publications = 发布次数
scorecard-heartbeats = 其中心跳
scorecard-attestations = 状态证明数
scorecard-suspensions = 被暂停次数
scorecard-rotations = 密钥更换次数
scorecard-ledger-chart = 含变更的发布（绿）与心跳（灰）
scorecard-own = 本网关记录
scorecard-sent-to-review = 转人工审核
scorecard-made = 新增绑定
scorecard-ended = 结束绑定
scorecard-failed = 失效绑定
scorecard-deposits = 小额打款 完成 / 发起
scorecard-seen = 从银行变更到网关同步，中位数
