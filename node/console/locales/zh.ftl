nav-state = 当前状态
nav-rows = 待修正数据
nav-publications = 发布记录
nav-platforms = 平台
nav-keys = 密钥

sign-in-how = 请使用运维人员（operator）的 API 密钥登录。密钥不会保存在浏览器中。
sign-in-refused = 该密钥不能用于控制台。请检查密钥是否正确，以及是否为运维人员密钥。

role-core = 核心系统
role-platform = 平台
role-operator = 运维

error-database-unavailable = 节点数据库暂时不可用

state-fit = 正常运行
state-unfit = 需要处理
state-standby = 备用节点

ago = （{ $span }前）
never = 尚无
of-at-most = 上限 { $bound }

core = 核心系统
core-as-of = 数据时点
core-received = 接收时间
core-changed = 最近一次含变更的上送
core-changes = 变更 { $changes } 条，状态证明 { $attestations } 条
core-source = 最近读取{ $source }
source-file = 文件
source-sql_view = SQL 视图
core-unstated = 待修正的账户
core-again = 存储已恢复，待核心系统重新上送 { $begins } 至 { $ends } 的全部数据。

ledger = 账本
ledger-watermark = 水位线（平台可依赖的数据时点）
ledger-publication = 最近上链的发布序号
ledger-signed = 已签名：{ $number }
ledger-waiting = 待发布的状态证明
ledger-in-flight = 发布中
ledger-restatements = 恢复后待重新发布的绑定
ledger-bindings = 有效绑定
ledger-nodes = 账本节点
ledger-node-in-use = 使用中
ledger-node-failures = 启动以来失败 { $count } 次

rows = 待修正数据
rows-what = 核心系统上送的以下账户数据无法识别。重新上送正确数据之前，已绑定的账户在账本上标记为“状态待确认”，其交易转人工审核；这些账户也不能新增绑定。
rows-more = 仅显示等待最久的 { $shown } 个。
rows-none = 所有账户的数据均可识别。
rows-new = 从未识别成功
rows-since = 自 { $at } 起，已 { $span }

publications = 发布记录
outbox-waiting = 待发布的状态证明 { $count } 条，最早的已等待 { $span }。
outbox-empty = 没有待发布的状态证明。
way-in-block = 已上链，区块 { $block }
way-submitted = 已提交
way-signed = 已签名
column-number = 发布序号
column-way = 状态
column-attestations = 状态证明数
column-watermark = 水位线
column-signed = 签名时间
column-submitted = 提交
column-in-block = 上链
column-tries = 链上交易数

platforms = 平台
platform-leaving = 正在解除其绑定
platform-left = 已终止合作
column-platform = 平台
column-active = 有效绑定
column-ended = 已解绑
column-granted = 最近批准绑定
column-deposits = 进行中的小额打款
column-unpaid = 其中待打款

deposits = 待执行的打款指令
deposits-what = 支付系统尚未接收的小额打款指令，一分钟内会再次下达。如长时间未下达，原因见“当前状态”页。
deposits-none = 全部打款指令均已下达。
deposit-times = 申请于 { $at }，{ $ends } 过期

keys = 密钥
keys-files = 密钥文件
keys-signer = 签名密钥地址：
keys-written = 写入时间 { $at }，已 { $span }
keys-age-unknown = 修改时间未知
keys-api = API 密钥
key-signer = 签名密钥
key-sender = 发送密钥
key-bank = 银行主密钥
key-vault = 数据加密密钥
